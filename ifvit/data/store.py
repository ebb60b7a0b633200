"""All prints of a folder, decoded once, in parallel, and kept in a file that is mapped into memory.

A folder of 100,000 prints is decoded at its first use and takes no memory: the prints of a batch
are read from the file when they are needed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ifvit.cache import key_of, user_cache
from ifvit.config import REFERENCE_PPI
from ifvit.data.prints import Print, load_canvas
from ifvit.data.tags import warn_of_tags

logger = logging.getLogger("ifvit")

READER = (
    *("images.py", "prints.py", "damage.py", "contrast.py"),
    *("formats.py", "headers.py", "pages.py", "raw_grey.py", "apart.py"),
)
"""The files of ``ifvit.data`` that decide what a decoded print looks like."""

AT_ONCE = 256
"""Number of prints decoded between two writes: 38 MB for the preset ``paper``."""

Decoded = np.ndarray | Exception
"""A print's canvas, or the error why there is none."""


@dataclass(frozen=True, eq=False)
class Canvases:
    """Prints on centred canvases, ridges dark, uint8 at 500 ppi."""

    prints: list[Print]
    rows: np.ndarray
    """Index of each print in ``pixels``."""
    pixels: np.ndarray
    """(P, S, S) uint8, in memory or mapped from a file."""

    def __len__(self) -> int:
        """Return the number of prints."""
        return len(self.prints)

    def take(self, index: np.ndarray) -> np.ndarray:
        """Return the canvases of some prints, by their places in ``prints``, in memory."""
        return np.array(self.pixels[self.rows[index]])

    def of(self, prints: Sequence[Print]) -> Canvases:
        """Return the canvases of some of the prints; they share the pixels."""
        place = dict(zip(self.prints, self.rows, strict=True))
        return Canvases(list(prints), np.array([place[p] for p in prints], int), self.pixels)

    def labels(self) -> np.ndarray:
        """Return the number of each print's finger, counted from 0 in the order of their names."""
        names = sorted({(p.dataset, p.finger) for p in self.prints})
        number = {name: index for index, name in enumerate(names)}
        return np.array([number[p.dataset, p.finger] for p in self.prints], int)


def read_canvases(prints: Sequence[Print], side: int, limit: float = 0.01) -> Canvases:
    """Read prints onto canvases of ``side`` pixels, after a warning for each that cannot be read.

    Prints that are not in the user's cache are decoded, with a progress bar, and held in memory
    where the cache cannot keep them. Raises ValueError where more than ``limit`` of them (a share,
    0..1) cannot be read: then the data set or its resolution is wrong, not one file.
    """
    length = side * side + 1
    content = _content(prints, side)
    cache = user_cache()
    name = f"prints/{_key(prints, side)}"
    data = cache.mapped(name, len(prints) * length, content) if cache else None
    if data is None:
        data = np.empty(len(prints) * length, np.uint8)
        at = 0
        for part in content():
            data[at : at + len(part)] = np.frombuffer(part, np.uint8)
            at += len(part)
    pixels = data[: len(prints) * side * side].reshape(len(prints), side, side)
    failed = np.flatnonzero(data[pixels.size :] == 0).tolist()
    reasons = {row: _decode(prints[row], side) for row in failed}
    if cache and any(isinstance(reason, np.ndarray) for reason in reasons.values()):
        # What could not be read then can be now: a decoder was installed, or a disk came back.
        cache.remove(name)
        return read_canvases(prints, side, limit)
    warn_of_tags((item.path, item.ppi) for item in prints)
    _check(prints, reasons, limit)
    rows = np.array([row for row in range(len(prints)) if row not in reasons], int)
    return Canvases([prints[row] for row in rows], rows, pixels)


def _content(prints: Sequence[Print], side: int) -> Callable[[], Iterator[bytes]]:
    """Return a function that yields the canvases' bytes in order, and then one byte for each print:
    1 where it could be read.

    Decoders release Python's lock, so that threads share the work.
    """

    def decode(item: Print) -> Decoded:
        return _decode(item, side)

    def content() -> Iterator[bytes]:
        good = bytearray()
        with ThreadPoolExecutor(cores(), "decode") as pool:
            parts = range(0, len(prints), AT_ONCE)
            decoded = (d for at in parts for d in pool.map(decode, prints[at : at + AT_ONCE]))
            bar = tqdm(decoded, "reading prints", len(prints), unit="print", leave=False)
            for canvas in bar:
                good.append(isinstance(canvas, np.ndarray))
                yield canvas.tobytes() if isinstance(canvas, np.ndarray) else bytes(side * side)
        yield bytes(good)

    return content


def _decode(item: Print, side: int) -> Decoded:
    try:
        canvas = load_canvas(item.path, item.ppi, REFERENCE_PPI, side)
    except (ValueError, OSError) as error:
        return error
    return np.round(canvas * 255).astype(np.uint8)


def _check(prints: Sequence[Print], reasons: dict[int, Decoded], limit: float) -> None:
    for row, reason in reasons.items():
        # The reason is a whole line and mostly names the file; the log names it in any case.
        logger.warning("skipping %s: %s", prints[row].path, reason)
    if len(reasons) > limit * len(prints):
        names = [prints[row].path.name for row in reasons]
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        raise ValueError(
            f"{len(names)} of {len(prints)} prints cannot be read ({shown}): expected at most "
            f"{limit:.0%}; mend or remove them, the warnings above give each reason"
        )


def _key(prints: Sequence[Print], side: int) -> str:
    """Return the key of all that decides the canvases: files, as far as dates show, and reader."""
    folder = files("ifvit.data")
    texts = [folder.joinpath(name).read_bytes() for name in READER]
    return key_of(*texts, side, [(os.path.abspath(p.path), p.ppi, _stamp(p.path)) for p in prints])


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def cores() -> int:
    """Return the number of cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1
