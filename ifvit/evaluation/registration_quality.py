"""How well prints are registered, without a single marked minutia.

Synthetic pairs have an exact map, so that the error is known in pixels. Real ones have none: there
the correlation of the ridges after alignment (the field's NCC), which every score table holds, says
how well they came to lie on each other (:mod:`ifvit.evaluation.report`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from tqdm import tqdm

from ifvit.config import ModelConfig
from ifvit.features.features import features_of
from ifvit.features.network_view import frame_foreground
from ifvit.geometry.grid import cell_centres
from ifvit.geometry.transforms import fit_similarity
from ifvit.registration.aligner import Aligner
from ifvit.registration.alignment import Alignment
from ifvit.sources.dense_synthetic import draw_pairs, render_frames
from ifvit.sources.masters import masters_of, take
from ifvit.sources.truth import pair_correspondence
from ifvit.synthesis import ImpressionParams, Master, correspondence

OWN_ROTATION = 30.0
"""Rotation that the two impressions of a test pair are drawn with, before one is turned; ± degrees
between them."""

GOOD_DRYNESS, GOOD_OVERLAP = 0.5, 0.5
"""A pair is of good quality where neither print is dry by more than half of what there is, and half
of the smaller print is in both."""

CORRECT_PX = 8.0
"""A match is right within half a coarse cell, pixels at 500 ppi."""


@dataclass(frozen=True)
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
    """Whether it is of good quality, by how it was made."""

    def follow(self, points: Float[np.ndarray, "K 2"]) -> tuple[np.ndarray, np.ndarray]:
        """Return where points of frame 0 are in frame 1, and whether both prints show them."""
        # Padded to one length: every other one would be compiled anew.
        padded = np.zeros(self.centres.shape, np.float32)
        padded[: len(points)] = points
        shape = (self.frame0.shape[0], self.frame0.shape[1])
        found = _follow(*self.params, jnp.asarray(padded), shape)
        return np.asarray(found[0], float)[: len(points)], np.asarray(found[1])[: len(points)]


_follow = jax.jit(correspondence, static_argnums=3)


@dataclass(frozen=True)
class PairError:
    """What one pair came to. Errors in pixels at 500 ppi, angles in degrees.

    ``error_px`` is the mean distance, over the cells that both prints show, between where the
    registration puts their centres and where they are. ``correct``, ``claimed`` and ``possible``
    count matches: right within half a cell, reported as agreeing, and there to be found.
    """

    aligned: bool
    error_px: float
    rotation_error: float
    correct: int
    claimed: int
    possible: int
    good: bool


@dataclass(frozen=True)
class RegistrationFigures:
    """Figures over pairs; shares in [0, 1].

    Errors are over the pairs reported as aligned; ``rotation_within_3`` and ``aligned`` over all
    chosen, those that could not be aligned counting against it; ``good_rotation_within_3`` is of
    those ``good`` pairs that are of good quality (:data:`GOOD_DRYNESS`), NaN without any.
    """

    pairs: int
    aligned: float
    error_px_median: float
    error_px_90: float
    within_4_px: float
    within_8_px: float
    rotation_within_3: float
    good: int
    good_rotation_within_3: float
    match_precision: float
    match_recall: float


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
    centres = np.asarray(cell_centres(model), float)
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
    """Return how many coarse cells a frame's foreground is worth."""
    mask = frame_foreground(frame[None], model)
    return float(mask.mean()) * model.cells**2


def pair_error(found: Alignment, truth: MappedPair) -> PairError:
    """Compare an alignment with the exact map."""
    placed = found.place(truth.centres)
    away = np.linalg.norm(placed - truth.points1, axis=1)[truth.valid]
    turned = (found.angle - truth.angle + 180) % 360 - 180
    points0, points1 = found.points0[found.inliers], found.points1[found.inliers]
    expected, shown = truth.follow(points0)
    miss = np.linalg.norm(points1 - expected, axis=1)
    return PairError(
        aligned=found.ok,
        error_px=float(away.mean()) if len(away) else float("nan"),
        rotation_error=abs(turned),
        correct=int((shown & (miss <= CORRECT_PX)).sum()),
        claimed=len(points0),
        possible=int(truth.valid.sum()),
        good=truth.good,
    )


def registration_figures(errors: Sequence[PairError]) -> RegistrationFigures:
    """Sum up; raises ValueError for no pairs. Figures over no aligned pair are NaN."""
    if not errors:
        raise ValueError("no pairs to sum up: expected at least one")
    aligned = np.array([e.error_px for e in errors if e.aligned and np.isfinite(e.error_px)])
    some = aligned if len(aligned) else np.array([np.nan])
    counts = np.array([(e.correct, e.claimed, e.possible) for e in errors if e.aligned])
    correct, claimed, possible = counts.sum(0) if len(counts) else (0, 0, 0)
    turned = [e.aligned and e.rotation_error <= 3 for e in errors]
    of_good = [right for right, e in zip(turned, errors, strict=True) if e.good]
    return RegistrationFigures(
        pairs=len(errors),
        aligned=float(np.mean([e.aligned for e in errors])),
        error_px_median=float(np.median(some)),
        error_px_90=float(np.quantile(some, 0.9)),
        within_4_px=float(np.mean(some <= 4)),
        within_8_px=float(np.mean(some <= 8)),
        rotation_within_3=float(np.mean(turned)),
        good=len(of_good),
        good_rotation_within_3=float(np.mean(of_good)) if of_good else float("nan"),
        match_precision=float(correct / max(claimed, 1)),
        match_recall=float(correct / max(possible, 1)),
    )


def measure(aligner: Aligner, pairs: Sequence[MappedPair]) -> RegistrationFigures:
    """Register synthetic pairs, and sum up."""
    errors = []
    for pair in tqdm(pairs, desc="registering", unit="pair", leave=False):
        found = aligner.register(features_of(pair.frame0), features_of(pair.frame1))
        errors.append(pair_error(found, pair))
    return registration_figures(errors)
