"""The resolution in an image's own tag: it is never used, but a warning says where it differs.

Cameras and programs write 72 and 96 by default, and the FVC's files say 1.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from ifvit.config import REFERENCE_PPI
from ifvit.data.formats import FORMATS
from ifvit.data.headers import check_start
from ifvit.data.prints import MAX_PPI, MIN_PPI

logger = logging.getLogger("ifvit")

THOUGHTLESS = (72, 96)

NEAR = 0.05
"""Relative difference up to which two resolutions count as equal: the same sensors are given as 500
and as 508."""

MOST_LOOKED_AT = 1000
"""Largest number of prints of a data set whose tags are read, spread evenly over the set."""


def tagged_ppi(path: str | Path) -> float | None:
    """Return the resolution of a file's tag, pixels per inch; None for none or an odd one."""
    try:
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")
            check_start(file, path)
            with Image.open(file, formats=FORMATS) as image:
                ppi = float(image.info.get("dpi", (0,))[0])
    except Exception:  # a file that cannot be read is reported elsewhere
        return None
    thoughtless = any(abs(ppi - value) < 1 for value in THOUGHTLESS)
    return ppi if MIN_PPI <= ppi <= MAX_PPI and not thoughtless else None


_told: set[tuple[int, float]] = set()
"""Which resolutions, of a tag and in use, this process has been told to differ."""


def warn_once_of_tag(path: str | Path, ppi: float | None) -> None:
    """Warn as :func:`warn_of_tags` of one print, once in a process for the same two resolutions."""
    tagged = tagged_ppi(path) if Path(path).is_file() else None
    read_at = REFERENCE_PPI if ppi is None else ppi
    if tagged is not None and (round(tagged), read_at) not in _told:
        warn_of_tags([(path, ppi)])


def warn_of_tags(used: Iterable[tuple[str | Path, float | None]]) -> None:
    """Warn once where plausible tags differ from the resolutions that prints are read at.

    ``used`` are paths, each with its resolution, 500 where that is None.
    """
    differing, listed = [], list(used)
    for path, ppi in listed[:: -(-len(listed) // MOST_LOOKED_AT) or 1]:
        tagged = tagged_ppi(path) if Path(path).is_file() else None
        read_at = REFERENCE_PPI if ppi is None else ppi
        if tagged is not None and abs(tagged / read_at - 1) > NEAR:
            _told.add((round(tagged), read_at))
            differing.append(f"{Path(path).name} says {tagged:.0f} ppi and is read at {read_at:g}")
    if differing:
        more = f" (and {len(differing) - 1} more)" if differing[1:] else ""
        logger.warning("%s%s: where the file is right, say so with --ppi", differing[0], more)
