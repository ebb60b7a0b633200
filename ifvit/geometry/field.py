"""A displacement field: one vector per coarse cell, interpolated between cells, and inverted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ifvit.config import REFERENCE_PPI, STRIDE, ModelConfig
from ifvit.geometry.grid import Frame
from ifvit.geometry.transforms import apply, invert
from ifvit.geometry.warp import sample, settled

Point = tuple[float, float]

INVERSE_STEPS = 12
"""Fixed-point steps that invert a displacement: each cuts the error to a third or less."""


@dataclass(frozen=True, eq=False)
class Displacement:
    """The skin's distortion, added before a similarity is applied: point x of image 0 shows the
    same skin as point ``H_0to1(x + displacement)`` of image 1. Pixels at 500 ppi."""

    values: Float[np.ndarray, "h w 2"]
    """Displacement (x, y) at the middle of each coarse cell of image 0."""
    cell_px: float
    """Distance between the cells' middles."""
    first0: Point
    """Middle (x, y) of the first cell in image 0."""
    first1: Point
    """Middle of the first cell of image 1, whose grid is as large."""
    turned: Displacement | None = None
    """The displacement that this one is the inverse of, if any: inverting twice is then exact."""

    @classmethod
    def of_frames(cls, values: Float[np.ndarray, "h w 2"], config: ModelConfig) -> Displacement:
        """Take the displacement of frames, whose cells begin in their corners."""
        cell_px = STRIDE * REFERENCE_PPI / config.ppi
        first = (cell_px - 1) / 2
        return cls(values, cell_px, (first, first), (first, first))

    def at(self, points: Float[np.ndarray, "K 2"]) -> Float[np.ndarray, "K 2"]:
        """Return the displacement at points of image 0: bilinear between the cells' middles, and
        beyond the outermost ones their value."""
        return sample(self.values, (points - np.array(self.first0)) / self.cell_px)

    def on_prints(self, frame0: Frame, frame1: Frame) -> Displacement:
        """Return the displacement of two frames, of one scale, as that of their prints."""
        x0, y0 = frame0.on_print(np.array(self.first0))
        x1, y1 = frame1.on_print(np.array(self.first1))
        scale = frame0.scale
        return Displacement(self.values / scale, self.cell_px / scale, (x0, y0), (x1, y1))

    def inverse(self, H_0to1: Float[np.ndarray, "2 3"]) -> Displacement:
        """Return the displacement from image 1 to image 0, which goes with the inverse of
        ``H_0to1`` and is given for the cells of image 1.

        It is found by fixed-point iteration, which converges because skin does not fold.
        """
        if self.turned is not None:
            return self.turned
        rows, columns = self.values.shape[:2]
        y, x = np.mgrid[:rows, :columns].reshape(2, -1)
        centres = self.cell_px * np.stack([x, y], axis=1) + np.array(self.first1)
        target = apply(invert(H_0to1), centres)
        points0 = settled(self.values, target, self.cell_px, self.first0, INVERSE_STEPS)
        values = (apply(H_0to1, points0) - centres).reshape(self.values.shape)
        return Displacement(values, self.cell_px, self.first1, self.first0, self)
