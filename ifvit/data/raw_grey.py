"""Grey PGM files of any maximum: sensors of 12 bit write 4095.

Pillow's own reading takes seconds for a megapixel wherever the maximum is not 255 or 65535.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32
from PIL import Image, ImageFile

from ifvit.data.damage import BinaryFile, PrintError

MOST_SLOW = 1 << 20
"""Largest number of pixels of a file that Pillow reads pixel by pixel: one written as text, or in
colour with an unusual maximum."""


def raw_grey(
    file: BinaryFile, image: Image.Image, path: str | Path
) -> Float32[np.ndarray, "H W"] | None:
    """Return the grey values in [0, 1] of an opened binary PGM; None for another file of its kind.

    Raises :class:`PrintError` for a file that is cut short, or that would take minutes.
    """
    if not (isinstance(image, ImageFile.ImageFile) and image.format == "PPM" and image.tile):
        return None
    decoder, _, offset, options = image.tile[0]
    (width, height), grey = image.size, image.mode in ("L", "I", "I;16")
    if decoder == "ppm_plain" or (decoder == "ppm" and not grey):
        if width * height > MOST_SLOW:
            raise PrintError(
                f"{path} holds {width}×{height} px in a way that is read pixel by pixel: expected "
                f"at most {MOST_SLOW >> 20} megapixel; save it as PNG, or as binary PGM"
            )
        return None
    if not grey:
        return None
    usual = 255 if image.mode == "L" else 65535
    maximum = int(options[1]) if decoder == "ppm" and options else usual
    kind = np.dtype(np.uint8 if maximum < 256 else ">u2")
    file.seek(offset)
    data = file.read(width * height * kind.itemsize)
    if len(data) < width * height * kind.itemsize:
        raise PrintError(f"{path} is cut short: copy or export it again")
    values = np.frombuffer(data, kind).reshape(height, width).astype(np.float32)
    values /= maximum
    return np.minimum(values, 1, out=values)
