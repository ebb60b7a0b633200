"""Pictures to files, without ever overwriting a file of another origin."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, PngImagePlugin

from ifvit.files import final_target, is_stream, write_result

DPI = 100
"""Resolution, in dots per inch, that is written to a picture that is not of a print."""

MADE_BY = "ifvit picture"
"""The text that names a picture's origin in its file, so that no other file is overwritten."""

KINDS = ("PNG", "JPEG", "TIFF")
"""Formats that name their origin at the start of a file."""

SOFTWARE = 305
"""The tag of TIFF (baseline TIFF 6.0) for what made a file."""


def picture_format(path: str | Path) -> str:
    """Return Pillow's name of the format by a file's extension, PNG for a stream.

    Raises ValueError for an unknown extension.
    """
    suffix = Path(path).suffix.lower()
    kind = Image.registered_extensions().get(suffix, "")
    if not suffix and is_stream(final_target(Path(path))):
        return "PNG"
    if kind not in KINDS:
        raise ValueError(
            f"{path}: pictures cannot be written as {suffix or 'a file without an ending'}: "
            "expected a name that ends in .png, .jpg or .tif"
        )
    return kind


def save(picture: UInt8[np.ndarray, "H W 3"], path: str | Path, ppi: float = DPI) -> None:
    """Write a picture to a file of the kind that its name says; the folder is made if need be.

    ``ppi`` is its resolution. A file there that is no picture of ifvit is kept under another name.
    Raises OSError, and ValueError as :func:`picture_format` and ``write_result`` do.
    """
    kind, buffer = picture_format(path), io.BytesIO()
    Image.fromarray(picture).save(buffer, format=kind, dpi=(ppi, ppi), **_origin(kind))
    write_result(path, buffer.getvalue(), MADE_BY.encode())


def _origin(kind: str) -> dict[str, Any]:
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("Software", MADE_BY)
        return {"pnginfo": info}
    if kind == "JPEG":
        return {"comment": MADE_BY}
    return {"tiffinfo": {SOFTWARE: MADE_BY}}


def printable(text: str) -> str:
    """Return text that fonts can draw: bytes of names that are not UTF-8 are escaped.

    A dollar sign needs no escape, since text is drawn without ``parse_math``.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def png(picture: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """Return a picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="png")
    return buffer.getvalue()
