"""What stands beside a picture in its file, weighed before anything of it is read.

Tags, profiles, texts and remarks are unpacked by Pillow when a file is opened, and those of a few
megabytes can become gigabytes, or millions of pieces that take minutes. The sizes that the file
itself tells are added up first.
"""

from __future__ import annotations

import os
import re
import struct
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ifvit.data.damage import BinaryFile, PrintError
from ifvit.data.pages import MOST_PAGES

MOST_PARTS = 1 << 16
"""Parts of a file: the largest picture as a PNG, unpacked, in parts of 2 kB each."""

MOST_BESIDE = 32 << 20
"""Bytes beside a picture. The largest colour profiles are of some 4 MB."""

SMALL = {"Exif": 1 << 20, "tEXt": 1 << 20, "jp2h": 1 << 16}
"""Bytes of parts that are taken to pieces of which each can cost much more memory."""

LONGEST_START = 1 << 16
"""Bytes of a PGM in which its size stands, with all that is remarked there."""

MOST_BLOCKS = 1 << 20
"""Blocks of one picture of a GIF, each of 255 bytes at most: ten times what the largest needs."""

UNPACKED = 32
"""Bytes that a number of a TIFF's tag takes when it is unpacked."""

_COMMENT = re.compile(rb"#[^\n]*(\n|\Z)")

_UNITS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
"""Bytes of a value of each type of tag (TIFF 6.0, section 2, and BigTIFF)."""

_AS_BYTES = (1, 2, 7)
"""Types whose values stay bytes."""

Parts = Iterator[tuple[str, int]]
"""Name and bytes of each part of a file; 0 bytes for the picture itself."""


def check_start(file: BinaryFile, path: str | Path) -> None:
    """Raise :class:`PrintError` for a file whose header alone would take minutes, or gigabytes.

    The file is where it was afterwards.
    """
    at = file.tell()
    try:
        start = file.read(LONGEST_START)
        for mark, parts in _PARTS.items():
            if start.startswith(mark):
                file.seek(at)
                _weigh(parts(file), path)
        # Type, width and height; of a bitmap nothing more follows.
        if re.match(rb"P[1-6]\s", start) and len(_COMMENT.sub(b" ", start).split(None, 3)) < 3:
            raise PrintError(
                f"{path} does not tell its size within {LONGEST_START >> 10} kB: expected an "
                "image; save it as PNG"
            )
    finally:
        file.seek(at)


def _weigh(parts: Parts, path: str | Path) -> None:
    found: Counter[str] = Counter()
    for count, (name, size) in enumerate(parts, 1):
        found[name] += size
        if count > MOST_PARTS:
            raise PrintError(f"{path} has more than {MOST_PARTS} parts: save it as PNG again")
        most = SMALL.get(name, MOST_BESIDE)
        if found[name] > most or (size and found.total() > MOST_BESIDE):
            raise PrintError(
                f"{path} holds more than its picture ({name!r}: {found[name] / 1e6:.1f} MB): "
                f"expected at most {most / 1e6:.1f} MB of that; save the picture alone as PNG"
            )


def _of_png(file: BinaryFile) -> Parts:
    """Chunks (PNG, third edition, 5.3)."""
    file.seek(8, os.SEEK_CUR)
    while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        size, name = int.from_bytes(head[:4]), head[4:].decode("ascii", "replace")
        yield ("Exif" if name == "eXIf" else name), 0 if name in ("IDAT", "fdAT") else size
        file.seek(size + 4, os.SEEK_CUR)


def _of_jpeg(file: BinaryFile) -> Parts:
    """Segments before the first scan (ITU-T T.81, B.1.1), and each byte that is in none."""
    file.seek(2, os.SEEK_CUR)
    while sign := file.read(1):
        kind = file.read(1) if sign == b"\xff" else b""
        while kind == b"\xff":
            yield "filling", 1
            kind = file.read(1)
        if kind == b"\xda":
            return
        if kind in (b"", b"\x00", b"\x01") or 0xD0 <= kind[0] <= 0xD9:
            yield "filling", 1
            continue
        size = int.from_bytes(file.read(2))
        exif = kind == b"\xe1" and size >= 8
        start = file.read(6) if exif else b""
        yield ("Exif" if start == b"Exif\x00\x00" else f"APP{kind[0] - 0xE0}"), size
        file.seek(max(0, size - 2 - len(start)), os.SEEK_CUR)


def _of_gif(file: BinaryFile) -> Parts:
    """Blocks up to the second picture (GIF89a, section 15 on)."""
    _skip_palette(file, file.read(13)[10:11])
    pictures = 0
    while (kind := file.read(1)) not in (b"", b";"):
        if kind == b"!":
            file.seek(1, os.SEEK_CUR)
            for size in _blocks(file):
                yield "extension", size
        elif kind == b",":
            pictures += 1
            if pictures > 1:
                return
            _skip_palette(file, file.read(9)[8:])
            file.seek(1, os.SEEK_CUR)
            many = sum(1 for _ in islice(_blocks(file), MOST_BLOCKS)) == MOST_BLOCKS
            yield "picture", MOST_BESIDE + 1 if many else 0
        else:
            yield "filling", 1


def _skip_palette(file: BinaryFile, flags: bytes) -> None:
    if flags and flags[0] & 128:
        file.seek(3 * (2 << (flags[0] & 7)), os.SEEK_CUR)


def _blocks(file: BinaryFile) -> Iterator[int]:
    while (size := file.read(1)) not in (b"", b"\x00"):
        file.seek(size[0], os.SEEK_CUR)
        yield size[0] + 1


def _of_webp(file: BinaryFile) -> Parts:
    """Chunks of a RIFF (WebP's container specification)."""
    file.seek(12, os.SEEK_CUR)
    while len(head := file.read(8)) == 8:
        size, name = int.from_bytes(head[4:], "little"), head[:4].decode("ascii", "replace")
        own = name in ("VP8 ", "VP8L", "ALPH", "ANMF")
        yield ("Exif" if name == "EXIF" else name), 0 if own else size
        file.seek(size + size % 2, os.SEEK_CUR)


def _of_jp2(file: BinaryFile) -> Parts:
    """Boxes (ISO/IEC 15444-1, annex I)."""
    while len(head := file.read(8)) == 8:
        size, name, own = int.from_bytes(head[:4]), head[4:].decode("ascii", "replace"), 8
        if size == 1:
            size, own = int.from_bytes(file.read(8)), 16
        if name == "jp2c" or size < own:  # the picture; or a box that goes on to the end
            return
        yield name, size
        file.seek(min(size - own, 1 << 40), os.SEEK_CUR)


def _of_tiff(file: BinaryFile) -> Parts:
    """Tags of the first pages (TIFF 6.0, section 2; BigTIFF has wider numbers)."""
    first = file.tell()
    head = file.read(8)
    order, big = ("<" if head[:2] == b"II" else ">"), head[2] == 43
    count, entry, place = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    if not big:
        file.seek(first + 4)
    at, seen = _number(file, order + place), {0}
    while at not in seen and len(seen) <= MOST_PAGES and at < 1 << 40:
        seen.add(at)
        file.seek(first + at)
        size = struct.calcsize(order + entry)
        for _ in range(_number(file, order + count)):
            if len(data := file.read(size)) < size:
                return
            tag, kind, many, _ = struct.unpack(order + entry, data)
            each = _UNITS.get(kind, 0) if kind in _AS_BYTES else UNPACKED
            yield f"tag {tag}", many * each
        at = _number(file, order + place)


def _number(file: BinaryFile, form: str) -> int:
    data = file.read(struct.calcsize(form))
    return int(struct.unpack(form, data)[0]) if len(data) == struct.calcsize(form) else 0


_PARTS = {
    b"\x89PNG": _of_png,
    b"\xff\xd8": _of_jpeg,
    b"GIF8": _of_gif,
    b"RIFF": _of_webp,
    b"\x00\x00\x00\x0cjP  ": _of_jp2,
    b"II\x2a\x00": _of_tiff,
    b"MM\x00\x2a": _of_tiff,
    **dict.fromkeys((b"II\x2b\x00", b"MM\x00\x2b", b"II\x00\x2a", b"MM\x2a\x00"), _of_tiff),
}
"""Formats whose parts can be told, by their first bytes; of others nothing stands beside."""
