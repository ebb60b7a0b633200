"""Rotation search and robust alignment of two prints by Module 1's correspondences.

Transforms are 2×3 similarity matrices in pixels (x, y) of the canvas at 500 ppi.
``H_0to1`` takes a point of image 0 to image 1; used as an output-to-input map it is also what
draws image 1 in image 0's frame (:func:`warp`).

What is turned for the search is the raw grey print and its foreground mask, at 500 ppi; the result
is then reduced to the network's resolution and normalised there with the turned mask. So the one
interpolation happens where a ridge period has nine pixels rather than four, the network sees what
it was trained on (normalised at its own resolution, never blurred afterwards), and the pixels that
a rotation brings in are outside the mask, so that they are no edge and move no local statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Bool, Float

from ifvit.config import ModelConfig
from ifvit.data.pairs import cell_centres, frame_side
from ifvit.models.matching import mutual_matches

DenseFn = Callable[[Float[np.ndarray, "A 2 3"]], Float[Array, "A N M"]]
"""Module 1 for one pair: A transforms from a turned image 1's pixels to image 1's own, to the
log dual-softmax confidence between image 0 and image 1 so turned."""


@dataclass(frozen=True)
class AlignConfig:
    """Settings of search and RANSAC. Lengths in pixels at 500 ppi, angles in degrees."""

    search_range: float = 60.0
    """Rotations tried, ± degrees. A Module 1 that never saw a print upside down has nothing
    against it: over the full circle it took some prints for their own half turn."""
    angle_step: float = 20.0
    """Steps between them; Module 1 is trained for at least half a step."""
    min_confidence: float = 0.05
    """Dual-softmax confidence of a mutual match worth keeping; RANSAC sorts out the rest."""
    inlier_px: float = 12.0
    """Residual of an inlier: three quarters of a coarse cell at 250 ppi, for the cell's own
    coarseness and the skin's distortion."""
    min_inliers: int = 8
    """Agreeing cells below which two prints count as not alignable; two unrelated sets of matches
    agree in about five by chance."""
    scale_range: tuple[float, float] = (0.8, 1.25)
    """Prints have a known resolution, so a scale far from 1 is an error, not a zoom."""
    iterations: int = 2000
    ransac_confidence: float = 0.999


ALIGN_CONFIG = AlignConfig()


@dataclass(frozen=True)
class Alignment:
    """How image 0 lies on image 1: K correspondences and the similarity that most agree with.

    ``points0``, ``points1`` (K, 2) are in the original canvases' pixels at 500 ppi, ``confidence``
    (K,) in [0, 1], ``inliers`` (K,) bool; ``angle`` is the rotation of ``H_0to1`` in degrees, from
    the x axis towards the y axis. Where ``ok`` is False, ``reason`` says why, and ``H_0to1`` and
    ``inliers`` are the best that was found (the identity and nobody, if nothing was).
    """

    ok: bool
    reason: str
    H_0to1: Float[np.ndarray, "2 3"]
    points0: Float[np.ndarray, "K 2"]
    points1: Float[np.ndarray, "K 2"]
    confidence: Float[np.ndarray, " K"]
    inliers: Bool[np.ndarray, " K"]
    angle: float

    @property
    def num_inliers(self) -> int:
        """Return how many correspondences agree with ``H_0to1``."""
        return int(self.inliers.sum())


def similarity(angle: float, centre: tuple[float, float]) -> Float[np.ndarray, "2 3"]:
    """Return the rotation by ``angle`` degrees (x axis towards y axis) about ``centre`` (x, y)."""
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    rotation = np.array([[cos, -sin], [sin, cos]])
    point = np.asarray(centre, dtype=float)
    return np.column_stack([rotation, point - rotation @ point])


def apply(H: Float[np.ndarray, "2 3"], points: Float[np.ndarray, "K 2"]) -> np.ndarray:
    """Return the points (K, 2) moved by the 2×3 transform ``H``."""
    return points @ H[:, :2].T + H[:, 2]


def invert(H: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "2 3"]:
    """Return the inverse of a 2×3 transform."""
    inverse = np.linalg.inv(H[:, :2])
    return np.column_stack([inverse, -inverse @ H[:, 2]])


def warp(
    image: Float[Array, "H W"], mask: Bool[Array, "H W"], transforms: Float[Array, "A 2 3"]
) -> tuple[Float[Array, "A H W"], Bool[Array, "A H W"]]:
    """Draw a print and its mask through A output-to-input transforms, bilinear.

    Beyond the image its border is repeated and nothing is foreground: no edge appears where the
    image ends, which would disturb the local statistics inside it.
    """
    height, width = image.shape
    y, x = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
    grid = jnp.stack([x, y, jnp.ones_like(x)]).astype(jnp.float32)
    soft = mask.astype(jnp.float32)

    def one(transform: Array) -> tuple[Array, Array]:
        source = jnp.einsum("ij,jhw->ihw", transform, grid, precision="highest")
        at = [source[1], source[0]]
        drawn = map_coordinates(image, at, order=1, mode="nearest")
        return drawn, map_coordinates(soft, at, order=1, mode="constant") > 0.5

    return jax.vmap(one)(transforms)


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
) -> list[Alignment]:
    """Return the alignment that each transform led to, of one pair or of A different ones.

    ``log_p`` is Module 1's answer for image 1 drawn through each transform.
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
        points1 = apply(transform, turned)
        H, inliers = _fit(points0, points1, settings)
        weight = confidence[index][kept]
        H = np.eye(2, 3) if H is None else H
        angle = float(np.rad2deg(np.arctan2(H[1, 0], H[0, 0])))
        made.append(Alignment(True, "", H, points0, points1, weight, inliers, angle))
    return made


def _best(made: list[Alignment]) -> Alignment:
    """Return the first of the alignments whose inliers are the most confident in sum.

    Confidence decides between angles, not number: at a wrong one many weak matches can agree.
    """
    return max(made, key=lambda one: float(one.confidence[one.inliers].sum()))


def align(dense: DenseFn, model: ModelConfig, settings: AlignConfig = ALIGN_CONFIG) -> Alignment:
    """Align two prints: all rotations as one batch, then once more from the best estimate.

    ``dense`` is Module 1 bound to the pair (:data:`DenseFn`); ``model`` says what its canvas and
    cells are. The second pass sees image 1
    drawn in image 0's frame, so that what is left to bridge is distortion. Deterministic. Prints
    that too few cells agree on are returned with ``ok=False`` and the reason; nothing is raised.
    Source: the method's rotation search and RANSAC (Qiu et al., IFViT).
    """
    count = round(settings.search_range / settings.angle_step)
    middle = (frame_side(model) - 1) / 2
    angles = [settings.angle_step * k for k in range(-count, count + 1)]
    turns = np.stack([similarity(angle, (middle, middle)) for angle in angles])
    alignment = _best(candidates(dense(turns), turns, model, settings))
    if alignment.num_inliers >= 3:
        start = alignment.H_0to1[None]
        refined = candidates(dense(start), start, model, settings)[0]
        if refined.num_inliers >= alignment.num_inliers:
            alignment = refined
    if alignment.num_inliers >= settings.min_inliers:
        return alignment
    reason = (
        f"the prints cannot be aligned: {alignment.num_inliers} of {len(alignment.points0)} "
        f"matching cells agree on one placement, {settings.min_inliers} are needed"
    )
    return replace(alignment, ok=False, reason=reason)
