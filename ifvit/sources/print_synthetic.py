"""Prints of synthetic fingers with their exact poses, from which Module 2 learns a print's code.

Batch ``i`` is a pure function of (seed, i): fingers of mostly one pattern class, with two
impressions each, as they were captured and drawn in their poses with a random error.
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ifvit.config import MatchConfig, ModelConfig
from ifvit.features.network_view import frame_foreground
from ifvit.features.pose import Pose
from ifvit.geometry.grid import cell_centres, frame_side
from ifvit.geometry.transforms import apply, invert
from ifvit.sources.dense_synthetic import render_frames
from ifvit.sources.masters import VALIDATION_FINGERS, masters_of, take
from ifvit.sources.posed import PoseError, PrintBatch, erring, views_of
from ifvit.sources.truth import cell_matches
from ifvit.synthesis import (
    ImpressionParams,
    Master,
    correspondence,
    draw_impression,
    finger_key,
    from_master,
)
from ifvit.synthesis.scale import log_uniform

SAME_CLASS = 0.7
"""Share of batches whose fingers are all of one pattern class: the ridges must tell them apart."""

UPRIGHT = 0.75
"""Share of prints within ± :data:`LEAN` degrees of upright; the others have any direction."""

LEAN = 40.0

DIRECTION_PX = 48.0
"""The finger's direction is that of the skin this far above and below the core."""


@partial(jax.jit, static_argnames="side")
def true_pose(params: ImpressionParams, core: Float[Array, "2"], side: int) -> Pose:
    """Return where the master's core lies in an impression's frame, and the finger's rotation."""
    apart = jnp.array([[0.0, 0.0], [0.0, -DIRECTION_PX], [0.0, DIRECTION_PX]])
    place, above, below = from_master(params, core + apart, (side, side))
    down = below - above
    return Pose(place, jnp.arctan2(-down[0], down[1]))


@partial(jax.jit, static_argnames=("seed", "hard", "zoom"))
def draw_prints(
    seed: int,
    finger: Int[Array, " B"],
    impression: Int[Array, " B"],
    hard: float,
    zoom: tuple[float, float],
) -> ImpressionParams:
    """Draw impressions: each finger is scaled by a factor from ``zoom``, each print is turned by
    its own angle."""

    def one(finger: Array, impression: Array) -> ImpressionParams:
        own = finger_key(seed, finger)
        params = draw_impression(own, impression, hard=hard)
        key = jax.random.fold_in(jax.random.fold_in(own, 21), impression)
        keys = jax.random.split(key, 2)
        lean = jnp.where(jax.random.uniform(keys[0]) < UPRIGHT, LEAN, 180.0)
        turn = jnp.deg2rad(lean) * jax.random.uniform(keys[1], minval=-1.0)
        larger = log_uniform(jax.random.fold_in(own, 22), zoom)
        return params._replace(turn=turn, zoom=larger * params.zoom)

    return jax.vmap(one)(finger, impression)


@partial(jax.jit, static_argnames=("seed", "model", "hard", "zoom", "error"))
def print_batch(
    masters: Master,
    finger: Int[Array, " B"],
    impression: Int[Array, " B"],
    label: Int[Array, " B"],
    key: PRNGKeyArray,
    *,
    seed: int,
    model: ModelConfig,
    hard: float,
    zoom: tuple[float, float],
    error: PoseError,
) -> PrintBatch:
    """Make a batch; prints 2i and 2i + 1 are of one finger."""
    side = frame_side(model)
    params = draw_prints(seed, finger, impression, hard, zoom)
    frames = render_frames(masters, params, model)
    mask = frame_foreground(frames, model)
    pose = jax.vmap(lambda p, core: true_pose(p, core, side))(params, masters.core)
    keys = jax.random.split(key, len(finger))
    laid = jax.vmap(lambda k, p: erring(k, p, error, side))(keys, pose)
    views = views_of(frames, mask, laid, model)

    def truth(
        p0: ImpressionParams, p1: ImpressionParams, H0: Array, H1: Array, m0: Array, m1: Array
    ) -> Array:
        centres = jnp.asarray(cell_centres(model))
        points1, valid = correspondence(p0, p1, apply(H0, centres), (side, side))
        points0, _ = correspondence(p1, p0, apply(H1, centres), (side, side))
        back1, back0 = apply(invert(H1), points1), apply(invert(H0), points0)
        return cell_matches(back1, valid, back0, m0, m1, model)

    prints = params, laid, views.posed_mask
    first, second = (jax.tree.map(itemgetter(slice(start, None, 2)), prints) for start in (0, 1))
    matches0 = jax.vmap(truth)(first[0], second[0], first[1], second[1], first[2], second[2])
    return PrintBatch(
        views.loose, views.loose_mask, pose, views.posed, views.posed_mask, label, matches0
    )


class SyntheticPrints:
    """Prints of synthetic fingers; batch ``i`` is a pure function of (seed, i)."""

    def __init__(
        self,
        seed: int,
        fingers: np.ndarray,
        masters: Master,
        model: ModelConfig,
        *,
        hard: float = 0.0,
        zoom: tuple[float, float] = (1.0, 1.0),
        error: PoseError = PoseError(),  # noqa: B008
    ) -> None:
        """``masters`` are those of ``fingers`` under ``seed`` (:func:`grow_masters`)."""
        self.seed, self.fingers, self.masters, self.model = seed, fingers, masters, model
        self.hard, self.zoom, self.error = hard, zoom, error
        self._pattern = np.asarray(masters.pattern)

    def draw(self, index: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw a batch's rows of ``fingers`` (B,), two by two alike, and impressions (B,)."""
        rng = np.random.default_rng([self.seed, index, 2])
        rows = np.arange(len(self.fingers))
        if rng.random() < SAME_CLASS:
            alike = rows[self._pattern == self._pattern[rng.integers(len(rows))]]
            rows = alike if len(alike) >= size // 2 else rows
        chosen = rng.choice(rows, size // 2, replace=len(rows) < size // 2)
        return np.repeat(chosen, 2), rng.integers(1 << 20, size=size)

    def batch(self, index: int, size: int) -> PrintBatch:
        """Return batch ``index`` of ``size`` prints, an even number."""
        rows, impressions = self.draw(index, size)
        return print_batch(
            take(self.masters, rows),
            jnp.asarray(self.fingers[rows]),
            jnp.asarray(impressions),
            jnp.asarray(rows),
            jax.random.fold_in(jax.random.key(self.seed), index),
            seed=self.seed,
            model=self.model,
            hard=self.hard,
            zoom=self.zoom,
            error=self.error,
        )


def synthetic_sources(config: MatchConfig) -> tuple[SyntheticPrints, SyntheticPrints]:
    """Return the synthetic training and validation sources."""
    data, seed = config.data, config.run.seed

    def make(first: int, count: int) -> SyntheticPrints:
        return SyntheticPrints(
            seed,
            first + np.arange(count),
            masters_of(seed, first, count),
            config.model,
            hard=data.hard,
            zoom=data.zoom,
            error=PoseError.of(data),
        )

    return make(0, data.fingers), make(VALIDATION_FINGERS, data.val_fingers)
