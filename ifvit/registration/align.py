"""From Module 1's correspondences to an alignment: the similarity that most mutual matches fit.

Transforms are 2×3 similarity matrices in pixels (x, y) of the frames (:mod:`ifvit.features.fit`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float

from ifvit.config import DenseConfig, TrainConfig
from ifvit.geometry.transforms import apply
from ifvit.geometry.warp import sample_each
from ifvit.registration.alignment import Alignment
from ifvit.registration.hypotheses import Hypotheses
from ifvit.registration.rectify import RECTIFY_CONFIG, RectifyConfig
from ifvit.runtime.calls import CellMatches


@dataclass(frozen=True)
class AlignConfig:
    """Settings of search and RANSAC. Lengths are in pixels at 500 ppi, angles in degrees."""

    search_range: float = 180.0
    """Range of the rotations tried, ± degrees. Where Module 1 finds matches at several, such as a
    rotation and its half turn, the ridges choose (:mod:`ifvit.registration.refine`)."""
    angle_step: float = 45.0
    """Step between the rotations tried; Module 1 has to be trained for more than half a step
    (:func:`align_config_of`)."""
    turns: int = 2
    """Number of rotations that Module 1 sees: those at which the ridge flows agree best."""
    followed: tuple[int, ...] = (1, 1)
    """Numbers of hypotheses that Module 1 sees a second and a third time, with print 1 drawn by
    them."""
    whole: float = 280.0
    """Foreground of a whole print in coarse cells, the median of the smaller print of a pair: the
    four limits below are for pairs with so many, and are lower in proportion where the smaller
    print has fewer, since what they limit is summed over cells."""
    faint: float = 20.0
    """Summed confidence of the agreeing cells below which Module 1 does not see a pair again, and
    the ridges decide from the best hypothesis alone."""
    promising: float = 65.0
    """Summed confidence of the agreeing cells after the second time from which there is a third."""
    clear: float = 75.0
    """Summed confidence of the agreeing cells from which on Module 1 counts as certain of a pair
    after its first pass."""
    clear_again: float = 130.0
    """The same limit after Module 1's last pass."""
    clear_ncc: float = 0.5
    """Correlation of the ridges that confirms such a hypothesis; below it the search goes on."""
    other_scales: tuple[float, ...] = (0.82, 1.0, 1.22)
    """Scales at which Module 1 sees a pair that is in doubt, about where the poses lay it: where
    skin was pulled, or poses are off, it recognises cells there that it missed as they were."""
    other_turns: tuple[float, ...] = (-20.0, 0.0, 20.0)
    """Rotations at which it sees the pair, at each of these scales."""
    min_confidence: float = 0.05
    """Lowest dual-softmax confidence of a mutual match that is kept; RANSAC rejects the outliers
    among these."""
    inlier_px: float = 12.0
    """Largest residual of an inlier: three quarters of a coarse cell at 250 ppi, which allows for
    the size of the cell and the skin's distortion."""
    near_px: float = 5.0
    """Largest residual of a match whose confidence counts for the score: a third of a coarse cell,
    about the error of Module 1's fine level."""
    scale_range: tuple[float, float] = (0.8, 1.25)
    """Prints have a known resolution, so a scale far from 1 is an error, not a zoom."""
    iterations: int = 2000
    ransac_confidence: float = 0.999
    rectify: RectifyConfig = RECTIFY_CONFIG


ALIGN_CONFIG = AlignConfig()


class AlignedRule(NamedTuple):
    """When two prints count as aligned."""

    min_inliers: int = 8
    """Agreeing cells below which two prints count as not alignable: about five agree with some
    similarity by chance, and more with a field that may bend, so that the score decides there."""
    min_ridge_ncc: float = 0.35
    """Correlation of the ridges that counts as much as ``min_inliers``: prints of two fingers, laid
    on each other as well as possible, reach about 0.15, rarely 0.3."""


ALIGNED_RULE = AlignedRule()


def search_angles(settings: AlignConfig = ALIGN_CONFIG) -> Float[np.ndarray, " A"]:
    """Return the rotations that a search covers, degrees."""
    steps = round(2 * settings.search_range / settings.angle_step)
    # A full circle ends where it began.
    count = steps if settings.search_range >= 180 else steps + 1
    return settings.angle_step * np.arange(count) - settings.search_range


LEAST_ROTATION = 10.0
"""Rotation in degrees that any Module 1 is assumed to handle: prints never lie exactly alike."""

LEAST_STEP, MOST_STEP = 45.0, 90.0
"""Limits of the step between the rotations tried, degrees: smaller ones are not worth the time."""


def align_config_of(settings: TrainConfig) -> AlignConfig:
    """Return the search for a Module 1 that was trained with these settings.

    The circle is divided so that some rotation tried leaves at most half of ``max_rotation``, where
    Module 1 is at its best: at the edge of its training it misses poor prints. A Module 1 that was
    trained for small rotations is used up to that edge, rather than to try more than eight.
    """
    assert isinstance(settings, DenseConfig), "those of Module 1, which is what searches"
    trained = settings.data.max_rotation
    step = min(max(trained, LEAST_STEP), 2 * max(trained, LEAST_ROTATION), MOST_STEP)
    return AlignConfig(angle_step=360 / math.ceil(360 / step))


def reached(
    found: Hypotheses, limit: float, cells: float, settings: AlignConfig = ALIGN_CONFIG
) -> bool:
    """Return whether the summed confidence of the first hypothesis reaches a limit for whole
    prints, where the smaller print has ``cells`` of foreground (:attr:`AlignConfig.whole`)."""
    summed = float(found.confidence[0][found.inliers[0]].sum())
    return summed >= limit * min(1.0, cells / settings.whole)


def _fit(
    points0: Float[np.ndarray, "K 2"], points1: Float[np.ndarray, "K 2"], settings: AlignConfig
) -> Float[np.ndarray, "2 3"] | None:
    """Return the similarity that most points agree with, or None.

    OpenCV's RANSAC starts from a fixed seed at each call, so the same points give the same answer.
    """
    if len(points0) < 2:
        return None
    H, _ = cv2.estimateAffinePartial2D(
        points0,
        points1,
        method=cv2.RANSAC,
        ransacReprojThreshold=settings.inlier_px,
        maxIters=settings.iterations,
        confidence=settings.ransac_confidence,
    )
    if H is None or not np.isfinite(H).all():
        return None
    low, high = settings.scale_range
    return H if low <= float(np.hypot(H[0, 0], H[1, 0])) <= high else None


def matched(
    found: CellMatches,
    transforms: Float[np.ndarray, "A 2 3"],
    centres: Float[np.ndarray, "N 2"],
    settings: AlignConfig = ALIGN_CONFIG,
    fields: Float[np.ndarray, "A h w 2"] | None = None,
) -> Hypotheses:
    """Return the hypothesis that each of A transforms led to.

    ``found`` are Module 1's matches for image 1 drawn through each transform, and, where given,
    through ``fields`` before that; ``centres`` are the centres of the coarse cells.
    """
    (lead, count), cells = found.partner0.shape, round(found.partner0.shape[-1] ** 0.5)
    cell_px = float(2 * centres[0, 0] + 1)
    kept = found.mutual(settings.min_confidence) >= 0
    place = found.position0.astype(np.float64)
    turned = cell_px * place + (cell_px - 1) / 2
    if fields is not None:
        turned = turned + sample_each(fields, place)
    points1 = apply(transforms, turned)
    fitted = [_fit(centres[who], to[who], settings) for who, to in zip(kept, points1, strict=True)]
    H = np.array([np.eye(2, 3) if one is None else one for one in fitted]).reshape(-1, 2, 3)
    known = np.array([one is not None for one in fitted], bool)
    # Judged by the final least-squares transform, not by the sample that RANSAC drew it from.
    away = np.linalg.norm(apply(H, np.broadcast_to(centres, points1.shape)) - points1, axis=-1)
    return Hypotheses(
        H_0to1=H,
        displacement=np.zeros((lead, cells, cells, 2)),
        bent=np.zeros(lead, bool),
        points1=points1,
        confidence=np.where(kept, found.confidence0, 0).reshape(lead, count),
        spread=cell_px * found.spread0.astype(np.float64),
        inliers=kept & known[:, None] & (away <= settings.inlier_px),
    )


def judged(alignment: Alignment, rule: AlignedRule = ALIGNED_RULE) -> Alignment:
    """Return the alignment, marked as failed, with the reason, where too few cells agree on it;
    nothing is raised."""
    ncc = alignment.ridge_ncc
    if alignment.num_inliers >= rule.min_inliers:
        return alignment
    if ncc is not None and ncc >= rule.min_ridge_ncc:
        return alignment
    reason = (
        f"the prints cannot be aligned: {alignment.num_inliers} of {len(alignment.points0)} "
        f"matching cells agree on one placement, {rule.min_inliers} are needed"
    )
    if ncc is not None:
        reason += f", or ridges that correlate by {rule.min_ridge_ncc}, not {ncc:.2f}"
    return replace(alignment, ok=False, reason=reason)
