"""Which finger a file's name speaks of, in any of the usual ways; and equal files told apart."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from ifvit.data.damage import PrintError
from ifvit.data.prints import Print

logger = logging.getLogger("ifvit")

HANDS = {"left": "left", "right": "right", "l": "left", "r": "right", "lh": "left", "rh": "right"}

FINGERS = {
    **{word: "thumb" for word in ("thumb", "t")},
    **{word: "index" for word in ("index", "fore", "forefinger", "pointer", "i")},
    **{word: "middle" for word in ("middle", "mid", "long", "m")},
    "ring": "ring",
    **{word: "little" for word in ("little", "pinky", "pinkie", "small")},
}

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_CODE = re.compile(r"([lr])([timrlp]|[1-5])")
_CODED = {"t": "thumb", "i": "index", "m": "middle", "r": "ring", "l": "little", "p": "little"}
_NUMBERED = re.compile(r"(?:f|fp|finger)[ _-]?0*([0-9]{1,3})(?![0-9])")
_TWO_NUMBERS = re.compile(r"0*([0-9]{1,4})[-_. ]([0-9]{1,3})")


def finger_in(stem: str) -> str | None:
    """Return the finger that a file's name without its ending carries, or None for none.

    Found are words (``left_index``, ``RightThumb``), codes of two signs (``LI``, ``R3``), numbers
    (``f3_1``, ``finger 3``), and the first of two short numbers (``3-1``).
    """
    if found := _TWO_NUMBERS.fullmatch(stem):
        return found[1]
    words = [word.lower() for word in _WORDS.findall(stem)]
    hand = next((HANDS[word] for word in words if word in HANDS), "")
    finger = next((FINGERS[w] for w in words if w in FINGERS and (len(w) > 1 or hand)), "")
    if not finger:
        joined = re.split(r"[^a-z0-9]+", stem.lower())
        for part in joined:
            if code := _CODE.fullmatch(part):
                return f"{HANDS[code[1]]} {_CODED.get(code[2], code[2])}"
        if number := _NUMBERED.search(stem.lower()):
            return f"{hand} finger {number[1]}".strip()
    return f"{hand} {finger}".strip() or None


def check_one_finger(folder: Path, images: Iterable[Path]) -> None:
    """Raise ValueError where the names in a folder that is taken for a finger carry several."""
    carried = {found: path.name for path in images if (found := finger_in(path.stem))}
    if len(carried) > 1:
        (first, name0), (second, name1), *_ = sorted(carried.items())
        raise PrintError(
            f"{folder} would be read as one finger, but its names carry {len(carried)}, such as "
            f"{first} ({name0}) and {second} ({name1}): list the prints in a .csv with the columns "
            "path and finger (docs/data.md)"
        )


def warn_of_doubles(prints: Sequence[Print]) -> None:
    """Warn where one and the same file is listed as prints of two fingers, or twice as one's."""
    sizes: defaultdict[int, list[Print]] = defaultdict(list)
    for item in prints:
        if item.path.is_file():
            sizes[item.path.stat().st_size].append(item)
    for alike in (group for group in sizes.values() if len(group) > 1):
        seen: dict[bytes, Print] = {}
        for item in alike:
            digest = hashlib.blake2b(item.path.read_bytes(), digest_size=16).digest()
            other = seen.setdefault(digest, item)
            if other is not item:
                alone = (other.dataset, other.finger) == (item.dataset, item.finger)
                whose = "impression" if alone else "finger"
                logger.warning(
                    "%s and %s are the same file, listed as two %ss: is one a copy by mistake?",
                    *(other.path, item.path, whose),
                )
