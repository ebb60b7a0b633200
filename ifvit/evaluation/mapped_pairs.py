"""Genuine synthetic pairs with the exact map between them, by which registration is measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ifvit.config import ModelConfig
from ifvit.features.network_view import frame_foreground
from ifvit.geometry.grid import cell_centres
from ifvit.geometry.transforms import fit_similarity
from ifvit.sources.dense_synthetic import draw_pairs, render_frames
from ifvit.sources.masters import masters_of, take
from ifvit.sources.truth import pair_correspondence
from ifvit.synthesis import ImpressionParams, Master, correspondence

OWN_ROTATION = 30.0
"""Largest rotation, in degrees, between the impressions of a test pair before one is turned."""

GOOD_DRYNESS, GOOD_OVERLAP = 0.5, 0.5
"""Limits of a pair of good quality: the largest dryness of either print, and the least share of the
smaller print that both show."""


@dataclass(frozen=True, eq=False)
class MappedPair:
    """A genuine synthetic pair with its exact map, pixels at 500 ppi of frames (S, S)."""

    frame0: Float[np.ndarray, "S S"]
    frame1: Float[np.ndarray, "S S"]
    centres: Float[np.ndarray, "N 2"]
    """Cell centres of frame 0."""
    points1: Float[np.ndarray, "N 2"]
    """The same skin in frame 1."""
    valid: Bool[np.ndarray, " N"]
    """Where both prints show it."""
    angle: float
    """Rotation of the similarity that is closest to the map, degrees."""
    params: tuple[ImpressionParams, ImpressionParams]
    good: bool
    """Whether the pair is of good quality, by how it was made."""

    def follow(self, points: Float[np.ndarray, "K 2"]) -> tuple[np.ndarray, np.ndarray]:
        """Return where points of frame 0 are in frame 1, and whether both prints show them."""
        # Padded to one length: JAX would compile anew for every other one.
        padded = np.zeros(self.centres.shape, np.float32)
        padded[: len(points)] = points
        shape = (self.frame0.shape[0], self.frame0.shape[1])
        found = correspondence(*self.params, jnp.asarray(padded), shape)
        return np.asarray(found[0], float)[: len(points)], np.asarray(found[1])[: len(points)]


@partial(jax.jit, static_argnames=("seed", "model", "hard"))
def _render(
    masters: Master,
    finger: Array,
    impression: Array,
    turn: Array,
    *,
    seed: int,
    model: ModelConfig,
    hard: float,
) -> tuple[Any, ...]:
    params0, params1 = draw_pairs(seed, finger, impression, OWN_ROTATION, hard=hard)
    params1 = params1._replace(turn=turn)
    frames = render_frames(masters, params0, model), render_frames(masters, params1, model)
    points1, valid, _ = jax.vmap(partial(pair_correspondence, model=model))(params0, params1)
    fitted = jax.vmap(partial(fit_similarity, jnp.asarray(cell_centres(model))))(points1, valid)
    angle = jnp.arctan2(fitted[:, 1, 0], fitted[:, 0, 0])
    return *frames, points1, valid, angle, params0, params1


def mapped_pairs(
    model: ModelConfig,
    first: int,
    fingers: int,
    pairs: int,
    *,
    seed: int = 0,
    turn: float = 180.0,
    hard: float = 0.0,
) -> list[MappedPair]:
    """Make genuine pairs of ``fingers`` fingers from number ``first``, turned by up to ± ``turn``.

    Pair i is a pure function of (seed, i, hard). Angles in degrees; ``hard`` is the share of prints
    that were pulled, twisted and pressed, and in harder conditions.
    """
    masters = masters_of(seed, first, fingers)
    rng = np.random.default_rng([seed, first])
    made: list[MappedPair] = []
    centres = cell_centres(model)
    for index in range(pairs):
        row = np.array([index % fingers])
        found = _render(
            take(masters, row),
            jnp.asarray(first + np.stack([row, row], axis=1)),
            jnp.asarray(rng.integers(1 << 20, size=(1, 2))),
            jnp.asarray([np.deg2rad(rng.uniform(-turn, turn))], jnp.float32),
            seed=seed,
            model=model,
            hard=hard,
        )
        one = jax.tree.map(lambda array: array[0], found)
        frame0, frame1, points1, valid, angle = map(np.asarray, one[:5])
        smaller = min(_shown(frame, model) for frame in (frame0, frame1))
        dryness = max(float(params.dryness) for params in one[5:])
        made.append(
            MappedPair(
                *(frame0, frame1, centres, points1.astype(float), valid),
                float(np.rad2deg(angle)),
                one[5:],
                bool(dryness <= GOOD_DRYNESS and valid.sum() >= GOOD_OVERLAP * smaller),
            )
        )
    return made


def _shown(frame: Float[np.ndarray, "S S"], model: ModelConfig) -> float:
    """Return the size of a frame's foreground in coarse cells."""
    mask = frame_foreground(frame[None], model)
    return float(mask.mean()) * model.cells**2
