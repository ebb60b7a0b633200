"""Figures to pixels, and pixels to files.

Figures are made through matplotlib's objects with the Agg canvas, so that nothing global changes
and no display is needed.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

DPI = 100


def pixels(figure: Figure) -> UInt8[np.ndarray, "H W 3"]:
    """Render a figure to an RGB array."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save(picture: UInt8[np.ndarray, "H W 3"], path: str | Path) -> None:
    """Write a picture to a file of the kind that its name says; the folder is made if need be."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def png(picture: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="png")
    return buffer.getvalue()
