"""Damaged image files, and files that take far too much work, recognised before decoding.

Pillow reads a PNG with wrong checksums as another picture, decodes a JPEG once for each of its
scans, and allocates tiles of any size that a TIFF asks for.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Protocol, runtime_checkable

from PIL import Image

PNG_START = 8
"""Length of the signature in bytes (PNG, third edition, 5.2)."""

MOST_SCANS = 64
"""Largest number of scans of a progressive JPEG; cameras and programs write ten to fifteen."""

TILE_WIDTH, TILE_LENGTH = 322, 323
"""Tags of a tile's sides (TIFF 6.0, section 15)."""

MOST_PIXELS = 4096 * 4096
"""Largest number of pixels of a tile: that of the largest image that is read."""

MOST_MM = 209
"""Length in mm of an image's longest side: that of the largest image that is read, at 500 ppi."""

PARTS = 1 << 20
"""Bytes read in one go."""


@runtime_checkable
class BinaryFile(Protocol):
    """An open binary file, or what behaves like one."""

    def read(self, size: int = ..., /) -> bytes: ...  # noqa: D102

    def seek(self, offset: int, whence: int = ..., /) -> int: ...  # noqa: D102

    def tell(self) -> int: ...  # noqa: D102


class PrintError(ValueError):
    """A file that cannot serve as a print; the message is one line that says what to do."""


def check_whole(file: BinaryFile, path: str | Path, image: Image.Image) -> None:
    """Raise :class:`PrintError` where an opened image is damaged, or takes far too much work.

    The position in the file is the same afterwards.
    """
    at = file.tell()
    try:
        if image.format == "PNG":
            _check_sums(file, path)
        elif image.format in ("JPEG", "MPO"):
            _check_scans(file, path)
        elif image.format == "TIFF":
            _check_tiles(path, image)
    finally:
        file.seek(at)


def check_extent(shape: tuple[int, ...], ppi: float, path: str | Path) -> None:
    """Raise :class:`PrintError` for sides (pixels) too long for one finger at a resolution.

    All prints are measured at 500 ppi, so that what one takes depends on its millimetres.
    """
    longest = 25.4 * max(shape) / ppi
    if longest > MOST_MM:
        raise PrintError(
            f"{path} is {longest:.0f} mm long at {ppi:g} ppi: expected one finger, in an image of "
            f"at most {MOST_MM} mm; cut it out, or correct --ppi"
        )


def _check_sums(file: BinaryFile, path: str | Path) -> None:
    """Compare each chunk of a PNG with its CRC (PNG, third edition, 5.3)."""
    file.seek(PNG_START)
    while len(head := file.read(8)) == 8:
        left, kind = int.from_bytes(head[:4]), head[4:]
        found = zlib.crc32(kind)
        while left and (part := file.read(min(left, PARTS))):
            found = zlib.crc32(part, found)
            left -= len(part)
        if left or file.read(4) != found.to_bytes(4):
            name = kind.decode("ascii", "replace")
            raise PrintError(
                f"{path} is damaged (the sum of its part {name!r} differs): copy or export it again"
            )
        if kind == b"IEND":
            return
    raise PrintError(f"{path} is cut short: copy or export it again")


def _check_scans(file: BinaryFile, path: str | Path) -> None:
    """Count the scans of a JPEG (ITU-T T.81, B.2.3), each of which costs a whole decoding."""
    file.seek(0)
    scans, last = 0, b""
    while part := file.read(PARTS):
        # Within compressed data 0xff is followed by 0, so that anything else is a marker.
        scans += (last + part).count(b"\xff\xda")
        last = part[-1:]
    if scans > MOST_SCANS:
        raise PrintError(f"{path} has {scans} scans: expected at most {MOST_SCANS}; save it as PNG")


def _check_tiles(path: str | Path, image: Image.Image) -> None:
    tags = getattr(image, "tag_v2", {})
    sides = [tags.get(tag, 1) for tag in (TILE_WIDTH, TILE_LENGTH)]
    if not all(isinstance(side, int) for side in sides) or sides[0] * sides[1] > MOST_PIXELS:
        raise PrintError(
            f"{path} has tiles of {sides[0]}×{sides[1]} px: expected none larger than an image "
            "that is read; save it as PNG"
        )
