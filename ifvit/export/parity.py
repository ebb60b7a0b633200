"""How far an engine is from the models in JAX, on synthetic prints."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from ifvit.config import STRIDE, ModelConfig
from ifvit.features.coder import loose_canvas
from ifvit.features.network_view import prepare
from ifvit.geometry.grid import frame_side
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherModel
from ifvit.runtime.calls import CellMatches, CellPoses, CodedPrints, Engine
from ifvit.runtime.jax_runtime import JaxEngine, compiled
from ifvit.synthesis import draw_impression, finger_key, make_masters, render

LARGEST = 2.0
"""Side of the largest canvas that is checked, as a multiple of the one used in training."""

ACCEPTED = 0.05
"""Confidence from which on a match is used, so that its position and spread are compared."""


class Differences(NamedTuple):
    """The largest differences between an engine and JAX."""

    features: float
    """Difference of a feature, as a share of the largest."""
    confidence: float
    """Difference of a cell's confidence, 0 to 1."""
    partner: float
    """Logarithm by which a chosen cell's confidence is below the best in JAX; 0: the same cell, or
    one that is as good."""
    position: float
    """Difference of an accepted match's position, cells."""
    spread: float
    """Difference of that position's spread, a share of it: registration weights matches by it."""
    core: float
    """Difference of the logarithm of a cell's probability to show the core, as a share of it, or of
    1."""
    direction: float
    """Difference of a core's offset in its cell, cells, or of the rotation's cosine or sine."""
    cell: float
    """Difference of a number in a unit vector of the dense map."""
    index: float  # type: ignore[assignment]  # it hides tuple.index
    """Difference of a number in an index vector of length 1."""

    def largest(self, other: Differences) -> Differences:
        """Return the larger of each two; what is no number counts as larger than any."""
        return Differences(*map(float, np.maximum(list(self), list(other))))


LIMITS = Differences(
    features=1e-4,
    confidence=1e-4,
    partner=1e-3,
    position=1e-3,
    spread=1e-4,
    core=1e-4,
    direction=1e-3,
    cell=1e-4,
    index=1e-4,
)
"""Limits that rounding explains; a wrong layer, mask or position encoding exceeds them by far."""


def synthetic_frames(config: ModelConfig, seed: int = 0) -> Float[np.ndarray, "2 S S"]:
    """Return two impressions of a synthetic finger, on the largest canvas that is checked.

    They are grey in [0, 1] at 500 ppi.
    """
    side = frame_side(replace(config, canvas=_canvases(config)[-1]))
    grown = make_masters(seed, jnp.arange(1))
    master = type(grown)(*(array[0] for array in grown))
    key = finger_key(seed, 0)
    shown = [render(master, draw_impression(key, i), (side, side)).image for i in (0, 1)]
    return np.asarray(jnp.stack(shown))


class Shown(NamedTuple):
    """Two prints on one canvas, both orders as one batch, and the answers of JAX for them."""

    images: Float[np.ndarray, "2 H W"]
    masks: Bool[np.ndarray, "2 h w"]
    features: Float[np.ndarray, "2 h w D"]
    log_p: Float[np.ndarray, "2 N N"]
    matches: CellMatches


class Masked(NamedTuple):
    """Two prints under masks of several shapes, and the answers of JAX for each by itself.

    The masks are the foreground cells of both prints; then, for the first print, all cells, a disc
    to one side, and none.
    """

    images: Float[np.ndarray, "B H W"]
    masks: Bool[np.ndarray, "B h w"]
    poses: CellPoses
    codes: CodedPrints


class Expected(NamedTuple):
    """The answers of the models in JAX for two prints, which an engine has to give."""

    shown: list[Shown]
    """Answers of Module 1, on the trained canvas and on the largest one."""
    masked: list[Masked]
    """Answers of Module 2, on the trained canvas and on that where a pose is looked for."""


def expected_of(
    dense: DenseRegModel, matcher: MatcherModel, frames: Float[np.ndarray, "2 S S"]
) -> Expected:
    """Compute the expected answers for two prints, such as those of :func:`synthetic_frames`."""
    reference = JaxEngine(dense, matcher)
    log_p = compiled(nnx.view(dense, use_running_average=True), _log_p)
    shown = []
    for canvas in _canvases(dense.config):
        images, masks = _network_view(frames, replace(dense.config, canvas=canvas))
        features = reference.backbone(images)
        logs = log_p(features, features[::-1], masks, masks[::-1])
        matches = reference.dense(features, features[::-1], masks, masks[::-1])
        shown.append(Shown(images, masks, features, np.asarray(logs), matches))
    masked = [
        _masked(reference, frames, replace(dense.config, canvas=canvas))
        for canvas in (dense.config.canvas, loose_canvas(dense.config))
    ]
    return Expected(shown, masked)


def _masked(
    reference: JaxEngine, frames: Float[np.ndarray, "2 S S"], config: ModelConfig
) -> Masked:
    (first, second), (own, other) = _network_view(frames, config)
    row, column = np.indices(own.shape)
    disc = np.hypot(row, column - 1) < config.cells / 2
    masks = np.stack([own, other, np.ones_like(own), disc, np.zeros_like(own)])
    images = np.stack([first, second, first, first, first])
    return Masked(images, masks, reference.pose(images, masks), reference.code(images, masks))


def differences(engine: Engine, expected: Expected) -> Differences:
    """Return how far an engine's answers are from those expected."""
    found = Differences(*(0.0,) * len(Differences._fields))
    for shown in expected.shown:
        found = found.largest(_module1(engine, shown))
    for masked in expected.masked:
        found = found.largest(_module2(engine, masked))
    return found


def check_limits(found: Differences, limits: Differences = LIMITS) -> None:
    """Raise ValueError for differences beyond the limits; its message names all of them."""
    beyond = [
        f"{name} {value:.2g}, at most {limit:.2g}"
        for name, value, limit in zip(found._fields, found, limits, strict=True)
        if not value <= limit
    ]
    if beyond:
        raise ValueError(
            f"the exported graphs do not compute what the checkpoints do: {'; '.join(beyond)}; "
            "nothing was written; please report this with the versions of onnx and onnxruntime"
        )


def _canvases(config: ModelConfig) -> tuple[int, int]:
    return config.canvas, round(LARGEST * config.canvas / STRIDE) * STRIDE


def _network_view(
    frames: Float[np.ndarray, "2 S S"], config: ModelConfig
) -> tuple[Float[np.ndarray, "2 H W"], Bool[np.ndarray, "2 h w"]]:
    """Cut the middle of the frames, and prepare it as the networks see it."""
    side = frame_side(config)
    start = (frames.shape[-1] - side) // 2
    middle = frames[:, start : start + side, start : start + side]
    images, masks = prepare(jnp.asarray(middle), config)
    return np.asarray(images), np.asarray(masks)


def _module1(engine: Engine, shown: Shown) -> Differences:
    features, other = engine.backbone(shown.images), shown.matches
    turned = features[::-1].copy(), shown.masks[::-1].copy()
    own = engine.dense(features, turned[0], shown.masks, turned[1])
    same = (own.partner0 == other.partner0) & (other.confidence0 > ACCEPTED)
    position = np.abs(own.position0 - other.position0)[same]
    spread = np.abs(own.spread0 / other.spread0 - 1)[same]
    lost = _shortfall(shown.log_p, own.partner0, 2), _shortfall(shown.log_p, own.partner1, 1)
    return Differences(
        features=float(np.abs(features - shown.features).max() / np.abs(shown.features).max()),
        confidence=float(np.abs(own.confidence0 - other.confidence0).max()),
        partner=max(lost),
        position=float(position.max(initial=0.0)),
        spread=float(spread.max(initial=0.0)),
        core=0.0,
        direction=0.0,
        cell=0.0,
        index=0.0,
    )


def _module2(engine: Engine, masked: Masked) -> Differences:
    poses = engine.pose(masked.images, masked.masks)
    codes = engine.code(masked.images, masked.masks)
    # Where no core can lie the logarithm is so large that float32 resolves only thousandths.
    size = np.maximum(np.abs(masked.poses.log_p), 1.0)
    offset, up = _furthest(poses.offset, masked.poses.offset), _furthest(poses.up, masked.poses.up)
    return Differences(
        features=0.0,
        confidence=0.0,
        partner=0.0,
        position=0.0,
        spread=0.0,
        core=_furthest(poses.log_p / size, masked.poses.log_p / size),
        direction=float(np.maximum(offset, up)),
        cell=_furthest(codes.cells, masked.codes.cells),
        index=_furthest(codes.index, masked.codes.index),
    )


def _furthest(own: Float[np.ndarray, "..."], other: Float[np.ndarray, "..."]) -> float:
    return float(np.abs(own - other).max())


def _shortfall(log_p: Float[np.ndarray, "B N M"], chosen: np.ndarray, axis: int) -> float:
    """Return by how much the chosen cells are below the best, at most."""
    got = np.take_along_axis(log_p, np.expand_dims(chosen.astype(np.int64), axis), axis)
    return float((log_p.max(axis=axis, keepdims=True) - got).max())


def _log_p(model: DenseRegModel, *maps_and_masks: Array) -> Array:
    return model.match_maps(*maps_and_masks).log_p
