"""The finger that a file's name contains, in any of the usual ways; and warnings of equal files."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from ifvit.data.damage import PrintError
from ifvit.data.formats import EXTENSIONS
from ifvit.data.prints import Print

logger = logging.getLogger("ifvit")

HANDS = {
    **{word: "left" for word in ("left", "l", "lh", "lt")},
    **{word: "right" for word in ("right", "r", "rh", "rt")},
}

FINGERS = {
    **{word: "thumb" for word in ("thumb", "t")},
    **{word: "index" for word in ("index", "fore", "forefinger", "pointer", "i")},
    **{word: "middle" for word in ("middle", "mid", "long", "m")},
    "ring": "ring",
    **{word: "little" for word in ("little", "pinky", "pinkie", "small")},
}

_JOINED = re.compile(
    r"(?P<hand>left|right|[lr])?(?P<finger>thumb|index|forefinger|middle|ring|little|pinky)"
    r"(?:finger)?(?P<after>left|right)?"
)
"""Words written as one: ``leftindex``, ``RIGHTTHUMB``."""

NO_FINGERS = re.compile(
    r"gallery|probes?|query|queries|enrol(?:l?ed|l?ment)?|templates?|train(?:ing)?|test(?:ing|s)?|"
    r"val(?:id|idation)?|dev|left|right|[lr]|(?:left|right)[ _-]?hand|[lr]h|males?|females?|"
    r"live|real|fake|spoof|(?:session|sess|sensor|scanner|day|visit)[ _-]?[0-9a-z]?[0-9]*"
)
"""Names of folders that are parts of a data set, and no fingers."""

CONDITIONS = re.compile(
    r"s|sess|session|day|visit|scan|sample|take|try|attempt|sensor|scanner|capture|acq|imp|"
    r"impression|roll|rolled|plain|flat|slap|dry|wet|moist|normal|clean|dirty|partial|full|live"
)
"""Words for how a finger was captured; a number after one is not that of a finger."""

_PARTS = re.compile(r"[^\W\d_]+|[0-9]+")
_CLOCK = 6
"""Number of digits from which on a number is a date, a time or a serial number."""

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_CODE = re.compile(r"([lr])([timrlp]|[1-5])")
_CODED = {"t": "thumb", "i": "index", "m": "middle", "r": "ring", "l": "little", "p": "little"}
_NUMBERED = re.compile(r"(?:f|fp|finger)[ _-]?0*([0-9]{1,3})(?![0-9])")
_TWO_NUMBERS = re.compile(r"0*([0-9]{1,4})[-_. ]([0-9]{1,3})")


def finger_in(stem: str) -> str | None:
    """Return the finger that a file's name, without its extension, contains, or None.

    Recognised are words (``left_index``, ``RightThumb``), codes of two signs (``LI``, ``R3``),
    numbers (``f3_1``, ``finger 3``), and the first of two short numbers (``3-1``).
    """
    if found := _TWO_NUMBERS.fullmatch(stem):
        return found[1]
    words = [part for word in _WORDS.findall(stem) for part in _divided(word.lower())]
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


def _divided(word: str) -> list[str]:
    found = _JOINED.fullmatch(word)
    if not found or word in FINGERS:
        return [word]
    return [part for part in (found["hand"], found["finger"], found["after"]) if part]


def check_one_finger(folder: Path, images: Iterable[Path]) -> None:
    """Raise ValueError where a folder taken for one finger has names of several fingers.

    This is the case where words or numbers name several fingers, and where two parts of the names
    vary independently, as those of finger and impression do (``7_2_1``, ``anular_3``).
    """
    names = sorted(images)
    carried = {found: path.name for path in names if (found := finger_in(path.stem))}
    if len(carried) < 2:
        carried = _varying(names)
    if len(carried) > 1:
        (first, name0), (second, name1), *_ = sorted(carried.items())
        raise PrintError(
            f"{folder} would be read as one finger, but its names carry {len(carried)}, such as "
            f"{first} ({name0}) and {second} ({name1}): list the prints in a .csv with the columns "
            "path and finger (docs/data.md)"
        )


def check_no_division(root: Path, folders: Iterable[Path]) -> None:
    """Raise ValueError where each folder below ``root`` is a part of a set, and none is a finger.

    Their names show it: ``gallery`` and ``probe``, ``session1`` and ``session2``.
    """
    named = sorted(folders)
    if len(named) > 1 and all(NO_FINGERS.fullmatch(path.name.lower()) for path in named):
        raise PrintError(
            f"{root} would be read as {len(named)} fingers, but {named[0].name} and "
            f"{named[1].name} are parts of a set: give one of them, or list the prints in a .csv "
            "with the columns path and finger (docs/data.md)"
        )


def _varying(images: Iterable[Path]) -> dict[str, str]:
    """Return the values of a part of the names that varies independently of the other parts."""
    split = {path.name: _PARTS.findall(path.stem.lower()) for path in images}
    if len(split) < 4 or len({len(parts) for parts in split.values()}) != 1:
        return {}
    columns = list(zip(*split.values(), strict=True))
    varying = [
        place
        for place, values in enumerate(columns)
        if len(set(values)) > 1 and not _of_capture(columns, place)
    ]
    if len(varying) < 2:
        return {}
    carried: defaultdict[str, list[str]] = defaultdict(list)
    for name, parts in split.items():
        carried[" ".join(parts[place] for place in varying[:-1])].append(name)
    # Numbers that differ from name to name are serial ones, such as a date and a time of day.
    if len(carried) < 2 or len(split) < 2 * len(carried):
        return {}
    return {what: names[0] for what, names in carried.items()}


def _of_capture(columns: Sequence[tuple[str, ...]], place: int) -> bool:
    """Return whether a part of the names describes the capture, and not the finger."""
    values = set(columns[place])
    if any(value.isdecimal() and len(value) >= _CLOCK for value in values):
        return True
    # The last part is the impression, whatever stands before it.
    before = set(columns[place - 1]) if 0 < place < len(columns) - 1 else set()
    return any(words and all(map(CONDITIONS.fullmatch, words)) for words in (values, before))


def present(entries: Iterable[os.DirEntry]) -> list[os.DirEntry]:
    """Return a folder's entries without links that lead nowhere; warn where these are of images.

    Tools that keep large data elsewhere (git-annex, DVC) leave such links.
    """
    listed = list(entries)
    lost = [entry for entry in listed if entry.is_symlink() and not os.path.exists(entry)]
    images = [entry.path for entry in lost if entry.name.lower().endswith(EXTENSIONS)]
    if images:
        logger.warning(
            "%d links to images lead nowhere, such as %s: they are left out; fetch their files",
            *(len(images), min(images)),
        )
    return [entry for entry in listed if entry not in lost]


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


def print_name(item: Print, root: str | Path) -> str:
    """Return a print's name in lists and score tables: its path below the data set's folder.

    A manifest's prints are named by their path below the folder that it is in, or by the whole
    path where they lie elsewhere.
    """
    folder = Path(root).parent if Path(root).is_file() else Path(root)
    inside = item.path.is_relative_to(folder)
    return (item.path.relative_to(folder) if inside else item.path).as_posix()
