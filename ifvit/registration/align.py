"""From Module 1's correspondences to an alignment: mutual matches, and the similarity of most.

Transforms are 2×3 similarity matrices in pixels (x, y) of the frames (:mod:`ifvit.features.fit`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ifvit.config import DenseConfig, MatchConfig, ModelConfig
from ifvit.geometry.field import Displacement
from ifvit.geometry.grid import cell_centres, frame_side
from ifvit.geometry.transforms import angle_of, apply
from ifvit.models.coarse_matching import mutual_matches
from ifvit.registration.alignment import Alignment
from ifvit.registration.rectify import RECTIFY_CONFIG, RectifyConfig


@dataclass(frozen=True)
class AlignConfig:
    """Settings of search and RANSAC. Lengths in pixels at 500 ppi, angles in degrees."""

    search_range: float = 180.0
    """Rotations tried, ± degrees. Of several that Module 1 is content with, such as a print and its
    own half turn, the ridges choose (:mod:`ifvit.registration.refine`)."""
    angle_step: float = 45.0
    """Steps between them; Module 1 has to know more than half a step (:func:`align_config_of`)."""
    turns: int = 3
    """Rotations that Module 1 looks at: those at which the ridges' flow agrees best."""
    followed: tuple[int, ...] = (2, 2)
    """Alignments that Module 1 looks at once more, and of these again, print 1 drawn by them."""
    min_confidence: float = 0.05
    """Dual-softmax confidence of a mutual match worth keeping; RANSAC sorts out the rest."""
    inlier_px: float = 12.0
    """Residual of an inlier: three quarters of a coarse cell at 250 ppi, for the cell's own
    coarseness and the skin's distortion."""
    near_px: float = 8.0
    """Residual of a match that counts for the score, by its confidence: half a coarse cell."""
    min_inliers: int = 8
    """Agreeing cells below which two prints count as not alignable: about five agree with some
    similarity by chance, and more with a field that may bend, so that the score decides there."""
    min_ridge_ncc: float = 0.35
    """Correlation of the ridges that is as good a witness as ``min_inliers``: two fingers laid on
    each other as well as possible reach about 0.15, rarely 0.3."""
    scale_range: tuple[float, float] = (0.8, 1.25)
    """Prints have a known resolution, so a scale far from 1 is an error, not a zoom."""
    iterations: int = 2000
    ransac_confidence: float = 0.999
    rectify: RectifyConfig = RECTIFY_CONFIG


ALIGN_CONFIG = AlignConfig()


LEAST_ROTATION = 10.0
"""Rotation in degrees that any Module 1 is trusted with: prints never lie exactly alike."""

LEAST_STEP, MOST_STEP = 45.0, 90.0
"""Smallest and largest step between rotations, degrees, that a Module 1 is worth the time of."""


def align_config_of(settings: DenseConfig | MatchConfig) -> AlignConfig:
    """Return the search for a Module 1 that was trained with these settings.

    The circle is divided so that some rotation tried is within half of ``max_rotation``, where
    Module 1 is at its best: at the edge of what it was trained for it misses poor prints. Of little
    training for rotations all is used, rather than to try more than eight.
    """
    assert isinstance(settings, DenseConfig), "those of Module 1, which is what searches"
    most = 2 * max(settings.max_rotation, LEAST_ROTATION)
    step = min(max(settings.max_rotation, LEAST_STEP), most, MOST_STEP)
    return AlignConfig(angle_step=360 / math.ceil(360 / step))


@partial(jax.jit, static_argnames="threshold")
def _correspondences(log_p: Float[Array, "A N M"], threshold: float) -> tuple[Array, Array, Array]:
    """Return mutual matches (A, N) or -1, their confidence (A, N) and their cells (A, N, 2).

    A position is the mean of the 3×3 cells around the match, weighted by their confidence: where
    the true point lies near a cell's border, Module 1 divides itself between the neighbours.
    Positions are (column, row) in cells of image 1.
    """
    matches0, confidence = mutual_matches(log_p, threshold)
    cells = round(log_p.shape[-1] ** 0.5)
    best = jnp.maximum(matches0, 0)
    row, column = best // cells, best % cells
    total = jnp.zeros(best.shape)
    position = jnp.zeros((*best.shape, 2))
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            y, x = row + dy, column + dx
            inside = (y >= 0) & (y < cells) & (x >= 0) & (x < cells)
            index = jnp.where(inside, y * cells + x, 0)
            value = jnp.take_along_axis(log_p, index[..., None], axis=-1)[..., 0]
            weight = jnp.where(inside, jnp.exp(value), 0.0)
            total = total + weight
            position = position + weight[..., None] * jnp.stack([x, y], axis=-1)
    return matches0, confidence, position / jnp.maximum(total, 1e-12)[..., None]


def _fit(
    points0: np.ndarray, points1: np.ndarray, settings: AlignConfig
) -> tuple[np.ndarray | None, np.ndarray]:
    """Return the similarity that most points agree with, or None, and who agrees (K,) bool.

    OpenCV's RANSAC starts from a fixed seed at each call, so the same points give the same answer.
    """
    nobody = np.zeros(len(points0), bool)
    if len(points0) < 2:
        return None, nobody
    H, _ = cv2.estimateAffinePartial2D(
        points0,
        points1,
        method=cv2.RANSAC,
        ransacReprojThreshold=settings.inlier_px,
        maxIters=settings.iterations,
        confidence=settings.ransac_confidence,
    )
    if H is None or not np.isfinite(H).all():
        return None, nobody
    low, high = settings.scale_range
    if not low <= float(np.hypot(H[0, 0], H[1, 0])) <= high:
        return None, nobody
    # Judged by the final least-squares transform, not by the sample that RANSAC drew it from.
    return H, np.linalg.norm(apply(H, points0) - points1, axis=1) <= settings.inlier_px


def candidates(
    log_p: Float[Array, "A N M"],
    transforms: Float[np.ndarray, "A 2 3"],
    model: ModelConfig,
    settings: AlignConfig = ALIGN_CONFIG,
    fields: Float[np.ndarray, "A h w 2"] | None = None,
) -> list[Alignment]:
    """Return the alignment that each transform led to, of one pair or of A different ones.

    ``log_p`` is Module 1's answer for image 1 drawn through each transform, and through ``fields``
    before that, where there are some.
    """
    found = _correspondences(log_p, settings.min_confidence)
    matches0, confidence, cells = (np.asarray(array) for array in found)
    centres = np.asarray(cell_centres(model), np.float64)
    cell_px = frame_side(model) // model.cells
    made = []
    for index, transform in enumerate(transforms):
        kept = matches0[index] >= 0
        points0 = centres[kept]
        turned = cell_px * cells[index][kept].astype(np.float64) + (cell_px - 1) / 2
        if fields is not None:
            turned = turned + Displacement.of_frames(fields[index], model).at(turned)
        points1 = apply(transform, turned)
        H, inliers = _fit(points0, points1, settings)
        weight = confidence[index][kept]
        H = np.eye(2, 3) if H is None else H
        made.append(Alignment(True, "", H, points0, points1, weight, inliers, angle_of(H)))
    return made


def judged(alignment: Alignment, settings: AlignConfig) -> Alignment:
    """Return an alignment, with the reason where too few cells agree on it; nothing is raised."""
    ncc = alignment.ridge_ncc
    if alignment.num_inliers >= settings.min_inliers:
        return alignment
    if ncc is not None and ncc >= settings.min_ridge_ncc:
        return alignment
    reason = (
        f"the prints cannot be aligned: {alignment.num_inliers} of {len(alignment.points0)} "
        f"matching cells agree on one placement, {settings.min_inliers} are needed"
    )
    if ncc is not None:
        reason += f", or ridges that correlate by {settings.min_ridge_ncc}, not {ncc:.2f}"
    return replace(alignment, ok=False, reason=reason)
