"""A print in any form that a caller may have: a file, its bytes, a Pillow image, or an array."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from PIL import Image

from ifvit.data.contrast import brought_to_usual, of_16_bit
from ifvit.data.damage import BinaryFile, PrintError
from ifvit.data.images import MAX_SIDE, MIN_SIDE, decode, grey, read_image

PrintSource = str | os.PathLike | bytes | BinaryFile | Image.Image | np.ndarray
"""The forms of a print that :func:`grey_values` reads."""

Ppi = float | np.number | np.ndarray | Sequence[float | None] | None
"""The resolution of two prints, or a pair with that of each; None means 500."""


def grey_values(given: PrintSource | object, name: str) -> Float32[np.ndarray, "H W"]:
    """Return a print's grey values from 0 (black) to 1 (white), ridges dark.

    ``given`` is a file's path, its bytes, an open binary file, a picture of Pillow's, or an array
    (H, W) of grey values: floats in [0, 1], or unsigned integers of 8 or 16 bit. ``name`` is what
    errors call it. Raises FileNotFoundError and ValueError as :func:`read_image` does, and
    ValueError for an array of other shape, type or values.
    """
    if isinstance(given, str | os.PathLike):
        return read_image(as_path(given))
    if isinstance(given, np.ndarray):
        return _grey_array(given, name)
    if isinstance(given, Image.Image):
        return grey(given, name)
    if isinstance(given, bytes | bytearray | memoryview):
        return decode(io.BytesIO(given), name)
    if isinstance(given, BinaryFile):
        return decode(io.BytesIO(_read(given, name)), name)
    raise PrintError(
        f"{name} is of type {type(given).__name__}: expected a path, the bytes of an image file, "
        "an open binary file, a PIL image or a NumPy array (H, W)"
    )


def _read(file: BinaryFile, name: str) -> bytes:
    """Read an open file whole, since not every stream can go back to its start."""
    expected = "expected a file opened by open(path, 'rb')"
    try:
        data: object = file.read()
    except (OSError, ValueError) as error:  # closed, or open for writing
        raise PrintError(f"{name} cannot be read ({error}): {expected}") from error
    if not isinstance(data, bytes | bytearray):
        raise PrintError(f"{name} is open as text: {expected}")
    if not data:
        raise PrintError(
            f"{name} is an open file with nothing left to read: go back to its start by seek(0), "
            "or give its path"
        )
    return bytes(data)


def as_path(given: Any) -> Any:
    """Return the path that an object stands for, such as ``os.scandir``'s; others as they are."""
    if isinstance(given, str | Path) or not isinstance(given, os.PathLike):
        return given
    return Path(os.fsdecode(given))


def name_of(given: Any, otherwise: str = "") -> str:
    """Return the name of a print in results: its file's name, where it comes from a file."""
    path = given if isinstance(given, str | Path) else getattr(given, "name", None)
    return Path(path).name if isinstance(path, str | Path) else otherwise


def each_ppi(ppi: object) -> tuple[float | None, float | None]:
    """Return the resolutions of two prints, from one number or two, of whatever type.

    Raises ValueError for anything else, such as three numbers, or text.
    """
    both = (ppi, ppi) if ppi is None or isinstance(ppi, Real) else _listed(ppi)
    if len(both) != 2 or not all(one is None or isinstance(one, Real) for one in both):
        raise ValueError(f"ppi {ppi!r}: expected one number, or one for each of the two prints")
    first, second = (
        one if one is None or isinstance(one, int | float) else float(one) for one in both
    )
    return first, second


def _listed(ppi: object) -> tuple[Any, ...]:
    listed = isinstance(ppi, Sequence | np.ndarray) and not isinstance(ppi, str | bytes)
    return tuple(ppi) if listed and np.ndim(ppi) == 1 else ()  # type: ignore[arg-type]


def _grey_array(given: np.ndarray, name: str) -> Float32[np.ndarray, "H W"]:
    """Return grey values in [0, 1] from an array that holds them in one of the usual ways."""
    if np.ma.is_masked(given):
        raise PrintError(
            f"{name} is an array with masked values: expected all of them; fill the masked ones "
            "with the value of white"
        )
    # Products of a np.matrix are others, and a masked array's percentiles are not of its data.
    values = np.asarray(given)
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
    # A copy: a camera's buffer holds the next print while this one is still being matched.
    return brought_to_usual(np.array(values, np.float32, order="C"))
