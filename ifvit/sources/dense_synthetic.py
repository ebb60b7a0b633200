"""The synthetic source: training pairs made on the device, with exact ground truth.

Pair ``i`` of a source is a pure function of (seed, i).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ifvit.config import DenseConfig, ModelConfig
from ifvit.features.network_view import prepare
from ifvit.geometry.grid import frame_side
from ifvit.sources.masters import masters_of, take
from ifvit.sources.truth import (
    PairBatch,
    cell_matches,
    impostor_matches,
    pair_correspondence,
    places_of,
)
from ifvit.synthesis import (
    ImpressionParams,
    Master,
    draw_impression,
    finger_key,
    render,
)
from ifvit.synthesis.scale import log_uniform
from ifvit.synthesis.skin import weakened

SAME_CLASS = 0.5
"""Share of impostor pairs of one pattern class: their flows agree, so that only ridges differ."""


def draw_pairs(
    seed: int,
    finger: Int[Array, "B 2"],
    impression: Int[Array, "B 2"],
    max_rotation: float,
    turn: float = 0.0,
    hard: float = 0.0,
    zoom: tuple[float, float] = (1.0, 1.0),
) -> tuple[ImpressionParams, ImpressionParams]:
    """Draw the two impressions of each pair.

    The rotation between them is within ± ``max_rotation`` degrees, and both prints are turned
    together by an angle within ± ``turn``, and drawn larger by one factor from the range ``zoom``,
    log-uniform. A share ``hard`` of all prints is drawn hard.
    """

    def draw(fingers: Array, impressions: Array) -> ImpressionParams:
        return draw_impression(finger_key(seed, fingers), impressions, max_rotation / 2, hard)

    def common(fingers: Array, impressions: Array) -> tuple[Array, Array]:
        key = jax.random.fold_in(finger_key(seed, fingers[0]), fingers[1])
        key = jax.random.fold_in(jax.random.fold_in(key, impressions[0]), impressions[1])
        angle = jax.random.uniform(key, minval=-jnp.deg2rad(turn), maxval=jnp.deg2rad(turn))
        return angle, log_uniform(jax.random.fold_in(key, 1), zoom)

    angle, larger = jax.vmap(common)(finger, impression)
    params0 = jax.vmap(draw)(finger[:, 0], impression[:, 0])
    params1 = jax.vmap(draw)(finger[:, 1], impression[:, 1])
    params0, params1 = (p._replace(turn=angle, zoom=larger * p.zoom) for p in (params0, params1))
    return params0, params1


class Ease(NamedTuple):
    """How much of the full difference between two impressions a batch has, as shares, 0 to 1."""

    rotation: Float[Array, ""] | float
    distortion: Float[Array, ""] | float

    def of(self, params: ImpressionParams) -> ImpressionParams:
        """Return an impression that is turned and distorted by these shares."""
        return params._replace(
            rotation=params.rotation * self.rotation,
            strain=params.strain * self.distortion,
            bump_shift=params.bump_shift * self.distortion,
            force=params.force and weakened(params.force, self.distortion),
        )


def render_frames(
    masters: Master, params: ImpressionParams, model: ModelConfig
) -> Float[Array, "B S S"]:
    """Render one impression of each of B masters into a frame at 500 ppi."""
    shape = (frame_side(model), frame_side(model))
    return jax.vmap(lambda m, p: render(m, p, shape).image)(masters, params)


@partial(jax.jit, static_argnames=("seed", "model", "max_rotation", "turn", "hard", "zoom"))
def dense_batch(
    master0: Master,
    master1: Master,
    finger: Int[Array, "B 2"],
    impression: Int[Array, "B 2"],
    *,
    seed: int,
    model: ModelConfig,
    max_rotation: float,
    turn: float = 0.0,
    hard: float = 0.0,
    zoom: tuple[float, float] = (1.0, 1.0),
    ease: Ease | None = None,
) -> PairBatch:
    """Make a batch for Module 1: genuine pairs where both finger numbers agree."""
    params = draw_pairs(seed, finger, impression, max_rotation, turn, hard, zoom)
    if ease is not None:  # Shares of what was drawn: traced, so that nothing is compiled anew.
        params = ease.of(params[0]), ease.of(params[1])
    image0, mask0 = prepare(render_frames(master0, params[0], model), model)
    image1, mask1 = prepare(render_frames(master1, params[1], model), model)
    points1, valid, points0 = jax.vmap(partial(pair_correspondence, model=model))(*params)
    truth = partial(cell_matches, model=model)
    matches0 = jax.vmap(truth)(points1, valid, points0, mask0, mask1)
    genuine = finger[:, 0] == finger[:, 1]
    matches0 = jnp.where(genuine[:, None], matches0, impostor_matches(matches0, mask0))
    places1 = places_of(points1, model)
    return PairBatch(image0, image1, mask0, mask1, matches0, places1, genuine)


class SyntheticPairs:
    """Pairs of impressions of synthetic fingers; batch ``i`` is a pure function of (seed, i)."""

    def __init__(
        self,
        seed: int,
        fingers: np.ndarray,
        masters: Master,
        model: ModelConfig,
        *,
        max_rotation: float,
        impostor_ratio: float,
        turn: float = 0.0,
        hard: float = 0.0,
        zoom: tuple[float, float] = (1.0, 1.0),
        ease: Callable[[int], Ease] | None = None,
    ) -> None:
        """``masters`` are those of ``fingers`` under ``seed`` (:func:`grow_masters`).

        ``ease`` returns how easy the batch with a number is; without it none is made easier.
        """
        self.seed, self.fingers, self.masters, self.model = seed, fingers, masters, model
        self.max_rotation, self.impostor_ratio = max_rotation, impostor_ratio
        self.turn, self.hard, self.zoom, self.ease = turn, hard, zoom, ease

    def draw(self, index: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw a batch's members: rows of ``fingers`` (B,2), impressions (B,2), genuine (B,)."""
        rng = np.random.default_rng([self.seed, index])
        rows = rng.integers(len(self.fingers), size=(size, 2))
        genuine = rng.random(size) >= self.impostor_ratio
        alike = rng.random(size) < SAME_CLASS
        for i, row in enumerate(rows[:, 0]):
            rows[i, 1] = row if genuine[i] else self._other(int(row), bool(alike[i]), rng)
        impressions = rng.integers(1 << 20, size=(size, 2))
        return rows, impressions, genuine

    def _other(self, row: int, alike: bool, rng: np.random.Generator) -> int:
        """Draw another finger, of the same pattern class if ``alike`` and if there is one."""
        others = np.flatnonzero(np.arange(len(self.fingers)) != row)
        pattern = np.asarray(self.masters.pattern)
        same = others[pattern[others] == pattern[row]]
        return int(rng.choice(same if alike and len(same) else others))

    def batch(self, index: int, size: int) -> PairBatch:
        """Return batch ``index`` of ``size`` pairs for Module 1."""
        rows, impressions, _ = self.draw(index, size)
        return dense_batch(
            take(self.masters, rows[:, 0]),
            take(self.masters, rows[:, 1]),
            jnp.asarray(self.fingers[rows]),
            jnp.asarray(impressions),
            seed=self.seed,
            model=self.model,
            max_rotation=self.max_rotation,
            turn=self.turn,
            hard=self.hard,
            zoom=self.zoom,
            ease=None if self.ease is None else self.ease(index),
        )


def synthetic_source(
    config: DenseConfig,
    first: int,
    count: int,
    *,
    genuine_only: bool = False,
    ease: Callable[[int], Ease] | None = None,
) -> SyntheticPairs:
    """Return a source of pairs of the fingers ``first`` to ``first + count - 1``."""
    data, seed = config.data, config.run.seed
    return SyntheticPairs(
        seed,
        first + np.arange(count),
        masters_of(seed, first, count),
        config.model,
        max_rotation=data.max_rotation,
        turn=data.turn,
        hard=data.hard,
        zoom=data.zoom,
        impostor_ratio=0.0 if genuine_only else data.impostor_ratio,
        ease=ease,
    )
