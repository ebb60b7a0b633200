"""How well prints are registered, without a single marked minutia.

Synthetic pairs have an exact map, so that the error is known in pixels. Real ones have none: there
the correlation of the ridges after alignment (the field's NCC), which every score table holds, says
how well they came to lie on each other (:mod:`ifvit.evaluation.report`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.evaluation.mapped_pairs import MappedPair
from ifvit.features.features import features_of
from ifvit.features.network_view import enhanced_view, frame_foreground
from ifvit.registration.aligner import Aligner
from ifvit.registration.alignment import Alignment

CORRECT_PX = 8.0
"""A match is right within half a coarse cell, pixels at 500 ppi."""


@dataclass(frozen=True)
class PairError:
    """The errors of one registered pair, in pixels at 500 ppi; angles are in degrees.

    ``error_px`` is the mean distance, over the cells that both prints show, between where the
    registration puts their centres and where they are; ``along_px`` and ``across_px`` are its parts
    along the ridges of print 0 and across them. ``correct``, ``claimed`` and ``possible`` count
    matches: those right within half a cell, those reported as agreeing, and all that exist.
    """

    aligned: bool
    error_px: float
    along_px: float
    across_px: float
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
    those ``good`` pairs that are of good quality (:mod:`ifvit.evaluation.mapped_pairs`), NaN
    without any.
    """

    pairs: int
    aligned: float
    error_px_median: float
    error_px_90: float
    along_px_median: float
    across_px_median: float
    within_4_px: float
    within_8_px: float
    rotation_within_3: float
    good: int
    good_rotation_within_3: float
    match_precision: float
    match_recall: float


def pair_error(found: Alignment, truth: MappedPair) -> PairError:
    """Compare an alignment with the exact map."""
    missed = (found.place(truth.centres) - truth.points1)[truth.valid]
    along = _ridges_at(truth, found)[truth.valid]
    away, parallel = np.linalg.norm(missed, axis=1), np.abs((missed * along).sum(axis=1))
    sideways = np.sqrt(np.maximum(away**2 - parallel**2, 0))
    turned = (found.angle - truth.angle + 180) % 360 - 180
    points0, points1 = found.points0[found.inliers], found.points1[found.inliers]
    expected, shown = truth.follow(points0)
    miss = np.linalg.norm(points1 - expected, axis=1)
    return PairError(
        aligned=found.ok,
        error_px=_mean(away),
        along_px=_mean(parallel),
        across_px=_mean(sideways),
        rotation_error=abs(turned),
        correct=int((shown & (miss <= CORRECT_PX)).sum()),
        claimed=len(points0),
        possible=int(truth.valid.sum()),
        good=truth.good,
    )


def _mean(values: Float[np.ndarray, " K"]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _ridges_at(truth: MappedPair, found: Alignment) -> Float[np.ndarray, "N 2"]:
    """Return the unit vectors along the ridges at the cells' centres, as frame 1 shows them."""
    config = ModelConfig(canvas=len(truth.frame0) * ModelConfig.ppi // REFERENCE_PPI)
    frame = truth.frame0[None]
    shown = enhanced_view(frame, frame_foreground(frame, config), config)
    column, row = (truth.centres * config.ppi / REFERENCE_PPI).astype(int).T
    angle = shown.orientation[0, row, column]
    turned = np.stack([np.cos(angle), np.sin(angle)], axis=-1) @ found.H_0to1[:, :2].T
    return turned / np.linalg.norm(turned, axis=-1, keepdims=True)


def registration_figures(errors: Sequence[PairError]) -> RegistrationFigures:
    """Return the figures over pairs; raises ValueError for none. Without aligned pairs they are
    NaN."""
    if not errors:
        raise ValueError("no pairs to sum up: expected at least one")
    aligned = np.array([e.error_px for e in errors if e.aligned and np.isfinite(e.error_px)])
    some = aligned if len(aligned) else np.array([np.nan])
    parts = np.array([(e.along_px, e.across_px) for e in errors if e.aligned]).reshape(-1, 2)
    along, across = np.nanmedian(parts, axis=0) if np.isfinite(parts).any() else (np.nan, np.nan)
    counts = np.array([(e.correct, e.claimed, e.possible) for e in errors if e.aligned])
    correct, claimed, possible = counts.sum(0) if len(counts) else (0, 0, 0)
    turned = [e.aligned and e.rotation_error <= 3 for e in errors]
    of_good = [right for right, e in zip(turned, errors, strict=True) if e.good]
    return RegistrationFigures(
        pairs=len(errors),
        aligned=float(np.mean([e.aligned for e in errors])),
        error_px_median=float(np.median(some)),
        error_px_90=float(np.quantile(some, 0.9)),
        along_px_median=float(along),
        across_px_median=float(across),
        within_4_px=float(np.mean(some <= 4)),
        within_8_px=float(np.mean(some <= 8)),
        rotation_within_3=float(np.mean(turned)),
        good=len(of_good),
        good_rotation_within_3=float(np.mean(of_good)) if of_good else float("nan"),
        match_precision=float(correct / max(claimed, 1)),
        match_recall=float(correct / max(possible, 1)),
    )


def measure(aligner: Aligner, pairs: Sequence[MappedPair]) -> RegistrationFigures:
    """Register synthetic pairs, and return the figures over them."""
    errors = []
    for pair in tqdm(pairs, desc="registering", unit="pair", leave=False):
        found = aligner.register(features_of(pair.frame0), features_of(pair.frame1))
        errors.append(pair_error(found, pair))
    return registration_figures(errors)
