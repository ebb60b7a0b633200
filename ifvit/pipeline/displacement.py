"""A displacement field, one vector a coarse cell, read between its cells and turned round."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from ifvit.config import REFERENCE_PPI, STRIDE, ModelConfig
from ifvit.data.pairs import cell_centres
from ifvit.pipeline.geometry import apply, invert
from ifvit.synthesis.impression import INVERSE_STEPS


def displaced(
    points: Float[np.ndarray, "K 2"],
    displacement: Float[np.ndarray, "h w 2"],
    config: ModelConfig,
) -> Float[np.ndarray, "K 2"]:
    """Return points of frame 0 with the displacement of where they lie, bilinear between cells."""
    cell = STRIDE * REFERENCE_PPI / config.ppi
    at = np.clip((points + 0.5) / cell - 0.5, 0, config.cells - 1)
    low = np.minimum(at.astype(int), config.cells - 2)
    share = at - low
    found = np.zeros(points.shape)
    for dx in (0, 1):
        for dy in (0, 1):
            weight = np.abs(1 - dx - share[:, 0]) * np.abs(1 - dy - share[:, 1])
            found += weight[:, None] * displacement[low[:, 1] + dy, low[:, 0] + dx]
    return points + found


def inverse_displacement(
    displacement: Float[np.ndarray, "h w 2"], H_0to1: Float[np.ndarray, "2 3"], config: ModelConfig
) -> Float[np.ndarray, "h w 2"]:
    """Return what the displacement is, cell by cell of frame 1, for the inverse of ``H_0to1``.

    By fixed-point iteration, which converges because skin does not fold.
    """
    centres = np.asarray(cell_centres(config), float)
    target = apply(invert(H_0to1), centres)
    points0 = target
    for _ in range(INVERSE_STEPS):
        points0 = target - (displaced(points0, displacement, config) - points0)
    return (apply(H_0to1, points0) - centres).reshape(displacement.shape)
