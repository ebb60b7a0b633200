"""A print in any form that a caller may have: a file, its bytes, a Pillow image, or an array."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from PIL import Image

from ifvit.data.contrast import brought_to_usual, of_16_bit
from ifvit.data.damage import BinaryFile, PrintError
from ifvit.data.images import MAX_SIDE, MIN_SIDE, decode, grey, read_image

PrintSource = str | Path | bytes | BinaryFile | Image.Image | np.ndarray
"""The forms of a print that :func:`grey_values` reads."""

Ppi = float | tuple[float | None, float | None] | None
"""The resolution of two prints, or a pair with that of each; None means 500."""


def grey_values(given: PrintSource | object, name: str) -> Float32[np.ndarray, "H W"]:
    """Return a print's grey values from 0 (black) to 1 (white), ridges dark.

    ``given`` is a file's path, its bytes, an open binary file, a picture of Pillow's, or an array
    (H, W) of grey values: floats in [0, 1], or unsigned integers of 8 or 16 bit. ``name`` is what
    errors call it. Raises FileNotFoundError and ValueError as :func:`read_image` does, and
    ValueError for an array of other shape, type or values.
    """
    if isinstance(given, str | Path):
        return read_image(given)
    if isinstance(given, np.ndarray):
        return _grey_array(given, name)
    if isinstance(given, Image.Image):
        return grey(given, name)
    if isinstance(given, bytes | bytearray | memoryview):
        return decode(io.BytesIO(given), name)
    if isinstance(given, BinaryFile):
        # Read whole: not every stream can go back to its start.
        if not isinstance(data := given.read(), bytes | bytearray):
            raise PrintError(f"{name} is open as text: expected a file opened by open(path, 'rb')")
        return decode(io.BytesIO(data), name)
    raise PrintError(
        f"{name} is of type {type(given).__name__}: expected a path, the bytes of an image file, "
        "an open binary file, a PIL image or a NumPy array (H, W)"
    )


def name_of(given: Any, otherwise: str = "") -> str:
    """Return the name of a print in results: its file's name, where it comes from a file."""
    path = given if isinstance(given, str | Path) else getattr(given, "name", None)
    return Path(path).name if isinstance(path, str | Path) else otherwise


def each_ppi(ppi: Ppi | Sequence[float]) -> tuple[float | None, float | None]:
    """Return the resolutions of two prints; raises ValueError for none or three of them."""
    if ppi is None or isinstance(ppi, int | float):
        return ppi, ppi
    both = tuple(ppi)
    if len(both) != 2:
        raise ValueError(f"ppi {ppi}: expected one resolution, or one for each of the two prints")
    return both[0], both[1]


def _grey_array(values: np.ndarray, name: str) -> Float32[np.ndarray, "H W"]:
    """Return grey values in [0, 1] from an array that holds them in one of the usual ways."""
    if values.ndim != 2 or min(values.shape) < MIN_SIDE or max(values.shape) > MAX_SIDE:
        raise PrintError(
            f"{name} is an array of shape {values.shape}: expected grey values (H, W), sides of "
            f"{MIN_SIDE} to {MAX_SIDE} pixels"
        )
    if values.dtype in (np.uint8, np.uint16):
        wide = values.dtype == np.uint16
        return brought_to_usual(of_16_bit(values) if wide else values.astype(np.float32) / 255)
    if not np.issubdtype(values.dtype, np.floating):
        raise PrintError(
            f"{name} is an array of {values.dtype}: expected floats in [0, 1], uint8 or uint16"
        )
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):
        raise PrintError(
            f"{name} has grey values from {low:g} to {high:g}: expected [0, 1], ridges dark; "
            "divide by the value of white"
        )
    return brought_to_usual(np.asarray(values, np.float32))
