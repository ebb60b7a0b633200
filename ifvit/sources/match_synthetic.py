"""Module 2's synthetic source: aligned pairs of impressions, with exact ground truth."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ifvit.config import MatchConfig, ModelConfig
from ifvit.geometry.grid import cell_centres, frame_side
from ifvit.geometry.transforms import apply, fit_similarity, invert
from ifvit.registration.aligner import Aligner
from ifvit.sources.aligned import (
    IMPOSTOR_SPREAD,
    AlignedBatch,
    AlignmentError,
    Realign,
    disturb,
    stand_alone,
    template_rows,
)
from ifvit.sources.dense_synthetic import SyntheticPairs, draw_pairs, render_frames
from ifvit.sources.masters import VALIDATION_FINGERS, masters_of, take
from ifvit.synthesis import ImpressionParams, Master, correspondence

PLACEMENT_ROTATION = 40.0
"""Rotation in degrees, ±, between synthetic impressions before they are aligned."""


@partial(jax.jit, static_argnames=("seed", "model", "max_rotation", "error", "hard", "zoom"))
def rough_pairs(
    master0: Master,
    master1: Master,
    finger: Int[Array, "B 2"],
    impression: Int[Array, "B 2"],
    key: PRNGKeyArray,
    *,
    seed: int,
    model: ModelConfig,
    max_rotation: float,
    error: AlignmentError,
    hard: float = 0.0,
    zoom: tuple[float, float] = (1.0, 1.0),
) -> tuple[Float[Array, "B S S"], Float[Array, "B S S"], Float[Array, "B 2 3"]]:
    """Render pairs, and align them by their skin or by their cores, plus ``error``.

    Impostor pairs are laid core on core and upright, as an alignment by orientation would have
    them: what is left to tell them apart is the ridges. Returns frame0, frame1 and H_0to1.
    """
    side, centres = frame_side(model), cell_centres(model)
    params = draw_pairs(seed, finger, impression, max_rotation, hard=hard, zoom=zoom)
    genuine = finger[:, 0] == finger[:, 1]

    def place(p0: ImpressionParams, p1: ImpressionParams, shift: Array, key: Array, same: Array):
        points1, valid = correspondence(p0, p1, centres, (side, side), shift)
        spread = jnp.where(same, 1.0, IMPOSTOR_SPREAD)
        return disturb(key, fit_similarity(centres, points1, valid), spread, error, side)

    keys = jax.random.split(key, len(finger))
    H = jax.vmap(place)(*params, master1.core - master0.core, keys, genuine)
    frame0 = render_frames(master0, params[0], model)
    return frame0, render_frames(master1, params[1], model), H


@partial(jax.jit, static_argnames=("seed", "model", "max_rotation", "hard", "zoom"))
def aligned_truth(
    finger: Int[Array, "B 2"],
    impression: Int[Array, "B 2"],
    H_0to1: Float[Array, "B 2 3"],
    *,
    seed: int,
    model: ModelConfig,
    max_rotation: float,
    hard: float = 0.0,
    zoom: tuple[float, float] = (1.0, 1.0),
) -> tuple[Float[Array, "B N 2"], Float[Array, "B N 2"], Bool[Array, "B N"]]:
    """Return points1, points0 and valid of :class:`AlignedBatch` under the given alignment."""
    side, centres = frame_side(model), cell_centres(model)
    params = draw_pairs(seed, finger, impression, max_rotation, hard=hard, zoom=zoom)

    def one(p0: ImpressionParams, p1: ImpressionParams, H: Array, same: Array):
        points1, valid = correspondence(p0, p1, centres, (side, side))
        points0, _ = correspondence(p1, p0, apply(H, centres), (side, side))
        return apply(invert(H), points1), points0, valid & same

    return jax.vmap(one)(*params, H_0to1, finger[:, 0] == finger[:, 1])


class SyntheticAligned(SyntheticPairs):
    """Module 2's source: aligned pairs of synthetic fingers; labels are rows of ``fingers``."""

    realign: Realign | None = None
    """Module 1's alignment, which then replaces the rough one: training sees its true errors."""

    def aligned(
        self, index: int, size: int, error: AlignmentError, template_ratio: float
    ) -> AlignedBatch:
        """Return batch ``index``; a share of its rows shows one print twice, for its template."""
        rows, impressions, genuine = self.draw(index, size)
        alone = template_rows(np.random.default_rng([self.seed, index, 1]), size, template_ratio)
        first = np.flatnonzero(alone)[::2]
        rows[first, 1] = rows[first, 0]
        rows[first + 1], impressions[first + 1] = rows[first], impressions[first, ::-1]
        genuine = genuine | alone
        finger, impression = jnp.asarray(self.fingers[rows]), jnp.asarray(impressions)
        how: dict[str, Any] = {"seed": self.seed, "model": self.model}
        how |= {"max_rotation": self.max_rotation, "hard": self.hard, "zoom": self.zoom}
        frame0, frame1, H = rough_pairs(
            take(self.masters, rows[:, 0]),
            take(self.masters, rows[:, 1]),
            finger,
            impression,
            jax.random.fold_in(jax.random.key(self.seed), index),
            error=error,
            **how,
        )
        if self.realign is not None:
            H = jnp.asarray(self.realign(frame0, frame1, H))
        points1, points0, valid = aligned_truth(finger, impression, H, **how)
        batch = AlignedBatch(
            frame0=frame0,
            frame1=frame1,
            H_0to1=H,
            points1=points1,
            points0=points0,
            valid=valid,
            label0=jnp.asarray(rows[:, 0]),
            label1=jnp.asarray(rows[:, 1]),
            genuine=jnp.asarray(genuine),
            alone=jnp.zeros(size, bool),
        )
        return stand_alone(batch, jnp.asarray(alone), self.model)


def synthetic_sources(
    config: MatchConfig, dense_ckpt: Path | None
) -> tuple[SyntheticAligned, SyntheticAligned]:
    """Return the synthetic training and validation sources, aligned by Module 1 if there is one."""
    realign = None if dense_ckpt is None else Aligner.from_checkpoint(dense_ckpt).realign

    def make(first: int, count: int, impostor_ratio: float) -> SyntheticAligned:
        source = SyntheticAligned(
            config.seed,
            first + np.arange(count),
            masters_of(config.seed, first, count),
            config.model,
            max_rotation=PLACEMENT_ROTATION,
            impostor_ratio=impostor_ratio,
            hard=config.hard,
            zoom=config.zoom,
        )
        source.realign = realign
        return source

    train = make(0, config.fingers, config.impostor_ratio)
    return train, make(VALIDATION_FINGERS, config.val_fingers, 0.5)
