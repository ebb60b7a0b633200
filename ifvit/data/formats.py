"""Image formats that are read, and the names of others, for errors."""

from __future__ import annotations

import importlib
from pathlib import Path

from ifvit.data.damage import BinaryFile, PrintError

EXTENSIONS = (
    *(".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg", ".wsq"),
    *(".jp2", ".pgm", ".gif", ".webp"),
)
"""Ends of names that a data set's images have."""

FORMATS = ("PNG", "TIFF", "BMP", "JPEG", "JPEG2000", "PPM", "GIF", "WEBP")
"""Pillow's names of the formats. WSQ is another, which the package ``wsq`` adds to Pillow."""

EXPECTED = "PNG, TIFF, BMP, JPEG, JPEG 2000, PGM, GIF, WebP or WSQ file"

WSQ_START = b"\xff\xa0"
"""Start-of-image marker (FBI, IAFIS-IC-0110, WSQ Gray-Scale Fingerprint Image Compression)."""

OTHERS = {
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"II\x2b\x00": "BigTIFF",
    b"MM\x00\x2b": "BigTIFF",
    b"PK\x03\x04": "an archive",
    b"\x1f\x8b": "an archive",
    b"8BPS": "Photoshop",
    b"DICM": "DICOM",
    b"FMR\x00": "a template of minutiae, ISO/IEC 19794-2",
    b"FIR\x00": "an ISO/IEC 19794-4 record",
    b"\x93NUMPY": "a NumPy array",
}
"""Names of formats that are not read, by their first bytes, for the error message."""


def formats_of(file: BinaryFile, path: str | Path) -> tuple[str, ...]:
    """Return the formats to try for a file at its start; WSQ is tried only for WSQ files.

    Raises :class:`PrintError` where its decoder is not installed.
    """
    start = file.tell()
    found = file.read(len(WSQ_START))
    file.seek(start)
    if found != WSQ_START:
        return FORMATS
    try:
        importlib.import_module("wsq")  # which tells Pillow
    except ImportError as error:
        raise PrintError(
            f"{path} is a WSQ file, which needs a decoder: pip install 'ifvit[wsq]', or convert it "
            "to PNG"
        ) from error
    return ("WSQ",)


def other_format(file: BinaryFile) -> str:
    """Return in words which other format a file has, if its start shows that."""
    file.seek(0)
    start = file.read(16)
    known = [name for mark, name in OTHERS.items() if start.startswith(mark)]
    if start[4:8] == b"ftyp":
        known.append("HEIF or AVIF")
    return f" ({known[-1]}; convert it to PNG)" if known else ""
