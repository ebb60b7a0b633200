"""Where coarse cells lie in a frame, and where a frame lies on its print.

A *frame* is a print drawn at a scale: its pixels are those of 500 ppi times the scale. A coarse
cell is ``STRIDE`` pixels of the network's canvas wide.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ifvit.config import REFERENCE_PPI, STRIDE, ModelConfig
from ifvit.geometry.arrays import Arrays
from ifvit.geometry.filters import shrink


class Frame(NamedTuple):
    """Where a frame lies on its print: pixel p of the frame shows point ``(p + origin + ½) / scale
    - ½`` of the print, in pixels at 500 ppi."""

    scale: float
    origin: tuple[int, int]

    def on_print(self, points: Float[np.ndarray, "*K 2"]) -> Float[np.ndarray, "*K 2"]:
        """Return points of the frame as points of the print at 500 ppi."""
        return (points + np.array(self.origin) + 0.5) / self.scale - 0.5

    @property
    def matrix(self) -> Float[np.ndarray, "2 3"]:
        """Return :meth:`on_print` as a 2×3 transform."""
        return np.column_stack([np.eye(2) / self.scale, self.on_print(np.zeros(2))])


def frame_side(model: ModelConfig) -> int:
    """Return the side of the canvas in pixels at 500 ppi: the frame in which synthetic impressions
    are made."""
    return model.canvas * REFERENCE_PPI // model.ppi


@lru_cache(maxsize=32)
def cell_centres(model: ModelConfig) -> Float[np.ndarray, "N 2"]:
    """Return the (x, y) of every coarse cell's centre, in pixels at 500 ppi of the frame.

    The array is kept, and cannot be written to.
    """
    factor = REFERENCE_PPI // model.ppi
    line = (np.arange(model.cells) * STRIDE + (STRIDE - 1) / 2 + 0.5) * factor - 0.5
    centres = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    centres.flags.writeable = False
    return centres


def nearest_cell(points: Float[Arrays, "*B 2"], model: ModelConfig) -> Int[Arrays, "*B"]:
    """Return the index of the cell that holds each frame point; points outside go to the border."""
    size, library = STRIDE * REFERENCE_PPI / model.ppi, points.__array_namespace__()
    column = library.clip(library.floor((points[..., 0] + 0.5) / size), 0, model.cells - 1)
    row = library.clip(library.floor((points[..., 1] + 0.5) / size), 0, model.cells - 1)
    return (row * model.cells + column).astype(np.int32)


def cell_mask(mask: Bool[Arrays, "B H W"]) -> Bool[Arrays, "B h w"]:
    """Return the mask of the coarse cells of which at least half is foreground."""
    return shrink(mask.astype(np.float32), STRIDE) >= 0.5
