"""Archives of named arrays (``.npz``), read completely or not at all, and never larger than said.

A few megabytes can unpack to many gigabytes, and an array's header can promise any size: both are
compared with the file before anything is unpacked.
"""

from __future__ import annotations

import math
import os
import zipfile
from pathlib import Path

import numpy as np

from ifvit.files import check_exists

MOST_UNPACKED = 3
"""Most bytes to which a byte of a file may unpack: arrays of floats hardly compress."""

MOST_DIRECTORY = 4 << 20
"""Bytes of an archive's list of what is in it, of some hundred each."""

SPARE = 1 << 20
"""Number of bytes to which any file may unpack."""


TAIL = 66_000
"""Bytes at the end of an archive among which its directory is told: a remark can follow."""

HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_arrays(path: str | Path, expected: str) -> dict[str, np.ndarray]:
    """Read all arrays of an ``.npz``; Python objects in it are never loaded.

    Raises FileNotFoundError, and ValueError, which says what was ``expected``, for a damaged file,
    for a file of another kind, or for arrays that claim to be larger than their bytes.
    """
    check_exists(path, expected)
    check_directory(path)
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            _check_sizes(archive, Path(path).stat().st_size)
            # NumPy's own sums are compared as each array is read.
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
    # Damaged archives make Python's reader raise nearly any type.
    except Exception as error:
        known = isinstance(error, ValueError | OSError) and str(error)
        reason = f"{error}" if known else f"damaged or no .npz: {type(error).__name__}"
        raise ValueError(f"{path} cannot be read ({reason}): expected {expected}") from error


def check_directory(path: str | Path) -> None:
    """Raise ValueError for an archive of so many files that their list alone would fill the memory.

    For anything else than an archive nothing is raised.
    """
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - TAIL))
        tail = file.read()
    # The end of the central directory says its size, and in large archives a wider record before
    # it (PKWARE's APPNOTE, 4.3.14 and 4.3.16).
    at, wide = tail.rfind(b"PK\x05\x06"), tail.rfind(b"PK\x06\x06")
    size = int.from_bytes(tail[at + 12 : at + 16], "little") if at >= 0 else 0
    if size == 0xFFFFFFFF:
        size = int.from_bytes(tail[wide + 40 : wide + 48], "little") if wide >= 0 else 0
    if size > MOST_DIRECTORY:
        raise ValueError(
            f"{path} is an archive whose header says {size / 1e6:.0f} MB of names: expected at "
            f"most {MOST_DIRECTORY >> 20}"
        )


def _check_sizes(archive: zipfile.ZipFile, size: int) -> None:
    members = archive.infolist()
    unpacked = sum(member.file_size for member in members)
    if unpacked > MOST_UNPACKED * size + SPARE:
        raise ValueError(
            f"its header says {unpacked / 1e6:.0f} MB in a file of {size / 1e6:.1f} MB"
        )
    for member in members:
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            shape, _, dtype = HEADERS[version](file)
        if dtype.hasobject:
            raise ValueError("it holds Python objects, which are never loaded")
        if math.prod(shape) * dtype.itemsize > member.file_size:
            raise ValueError(
                f"the header of {member.filename} says {'×'.join(map(str, shape))} of {dtype}, "
                f"more than its {member.file_size} bytes"
            )
