"""Which print is compared with which: the comparison lists of evaluation protocols."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ifvit.data.names import print_name
from ifvit.data.prints import Print
from ifvit.files import write_text
from ifvit.texts import read_lines, same_name, shortened

logger = logging.getLogger("ifvit")

LABELS = {"genuine": True, "impostor": False, "1": True, "0": False}

EXPECTED = "a list of comparisons, one `NAME0 NAME1 genuine|impostor` a line"


class Pair(NamedTuple):
    """One comparison, as indices into the list of prints that it was made from."""

    index0: int
    index1: int
    genuine: bool


def _by_finger(prints: Sequence[Print]) -> list[list[int]]:
    """Group the prints' indices by finger, both in the order in which they are listed.

    Raises ValueError for an empty list and for a print that is listed twice.
    """
    if not prints:
        raise ValueError("no prints to compare: expected a list of at least two")
    seen: set[tuple[str, str, str]] = set()
    fingers: dict[tuple[str, str], list[int]] = {}
    for index, item in enumerate(prints):
        key = (item.dataset, item.finger, item.impression)
        if key in seen:
            raise ValueError(
                f"impression {item.impression} of finger {item.finger} in {item.dataset} is listed "
                f"twice ({item.path}): a print is never compared with itself; remove one"
            )
        seen.add(key)
        fingers.setdefault((item.dataset, item.finger), []).append(index)
    return list(fingers.values())


def _genuine(fingers: list[list[int]]) -> Iterator[Pair]:
    for indices in fingers:
        for index0, index1 in combinations(indices, 2):
            yield Pair(index0, index1, True)


def fvc_pairs(prints: Sequence[Print]) -> list[Pair]:
    """Return the comparisons of the FVC protocol, genuine ones first.

    Genuine: each impression against the later ones of the same finger. Impostor: the first
    impression of each finger against the first of the later fingers. Order is that of the list
    (``read_dataset`` sorts it). 10 fingers of 8 impressions give 280 and 45. Raises ValueError for
    an empty list or a print listed twice. Source: Maio et al., "FVC2000: Fingerprint Verification
    Competition", IEEE TPAMI 24(3), 2002.
    """
    fingers = _by_finger(prints)
    firsts = [indices[0] for indices in fingers]
    impostor = [Pair(index0, index1, False) for index0, index1 in combinations(firsts, 2)]
    return [*_genuine(fingers), *impostor]


def all_pairs(prints: Sequence[Print]) -> list[Pair]:
    """Return every comparison of two different prints once, genuine ones first.

    10 fingers of 8 impressions give 280 genuine and 2880 impostor comparisons. Raises ValueError
    as :func:`fvc_pairs` does.
    """
    fingers = _by_finger(prints)
    impostor = [
        Pair(index0, index1, False)
        for finger0, finger1 in combinations(fingers, 2)
        for index0 in finger0
        for index1 in finger1
    ]
    return [*_genuine(fingers), *impostor]


def fewer_impostors(pairs: Sequence[Pair], count: int) -> list[Pair]:
    """Return all genuine comparisons, and ``count`` of the impostor ones, drawn at random.

    The same list gives the same choice. Raises ValueError for fewer than one.
    """
    if count < 1:
        raise ValueError(f"{count} impostor comparisons: expected at least 1")
    impostor = [index for index, pair in enumerate(pairs) if not pair.genuine]
    if count < len(impostor):
        drawn = np.random.default_rng(0).choice(impostor, count, replace=False)
        kept = set(drawn.tolist())
        pairs = [pair for index, pair in enumerate(pairs) if pair.genuine or index in kept]
    return list(pairs)


def protocol_pairs(prints: Sequence[Print], protocol: str, root: str | Path) -> list[Pair]:
    """Return the comparisons of ``fvc``, ``all``, or of a list in a file.

    ``root`` is the data set's folder, which names in a list are relative to. Raises as the three,
    and ValueError for a print or a finger whose name no table can hold.
    """
    check_listed([*(print_name(item, root) for item in prints), *(p.finger for p in prints)])
    if protocol == "fvc":
        _check_complete(prints)
        return fvc_pairs(prints)
    if protocol == "all":
        return all_pairs(prints)
    if not Path(protocol).is_file():
        raise FileNotFoundError(
            f"protocol {protocol!r} is neither fvc nor all, and no such file exists: expected "
            f"{EXPECTED}"
        )
    return read_comparisons(protocol, prints, root)


def check_listed(names: Iterable[str]) -> None:
    """Raise ValueError for a name that no line of a table or a list can hold."""
    if wrong := [name for name in sorted(set(names)) if set(name) & set("\t\n\r")]:
        raise ValueError(f"{wrong[0]!r} cannot be listed: rename it without tabs and line breaks")


def write_comparisons(
    path: str | Path, pairs: Sequence[Pair], prints: Sequence[Print], root: str | Path
) -> None:
    """Write a list of comparisons: two names and a label a line, separated by tabs.

    Raises ValueError for a name that holds a tab or a line break.
    """
    names = [print_name(item, root) for item in prints]
    check_listed(names[index] for pair in pairs for index in (pair.index0, pair.index1))
    lines = [
        f"{names[pair.index0]}\t{names[pair.index1]}\t{'genuine' if pair.genuine else 'impostor'}\n"
        for pair in pairs
    ]
    write_text(path, "".join(lines))


def read_comparisons(path: str | Path, prints: Sequence[Print], root: str | Path) -> list[Pair]:
    """Read two names and a label a line, ``genuine`` or ``impostor``, or 1 or 0.

    Between them stand tabs, semicolons, commas or, where no name holds one, blanks. ``#`` starts a
    comment, but not within a name. Raises ValueError that names the line for a print that is not in
    the data set, an unknown label, a label that contradicts the fingers, a print compared with
    itself, or a comparison that is listed twice.
    """
    index = _index([print_name(item, root) for item in prints])
    pairs: list[Pair] = []
    lines: dict[tuple[int, int], int] = {}
    for number, line in enumerate(read_lines(path, EXPECTED, "\n"), start=1):
        fields = _fields(line.rstrip("\r\n"))
        if not fields:
            continue
        try:
            pair = _pair(fields, index, prints)
            first = lines.setdefault((min(pair[:2]), max(pair[:2])), number)
            if first != number:
                raise ValueError(f"{fields[0]} and {fields[1]} are in line {first} already")
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
        pairs.append(pair)
    if not pairs:
        raise ValueError(f"{path} lists no comparisons")
    return pairs


def _index(names: Sequence[str]) -> dict[str, int]:
    """Number names, also by the one spelling of all theirs where that is nobody else's."""
    spelled = Counter(map(same_name, names))
    loose = {same_name(name): n for n, name in enumerate(names) if spelled[same_name(name)] == 1}
    return loose | {name: number for number, name in enumerate(names)}


def _fields(line: str) -> list[str]:
    """Return a line's two names and its label; nothing for an empty line or a comment."""
    for separator in "\t;,":
        cells = line.split(separator)
        label = cells[-1].partition("#")[0].strip()
        if len(cells) == 3 and label in LABELS:
            # Between tabs, which no name holds, blanks are a name's own.
            names = cells[:2] if separator == "\t" else [cell.strip() for cell in cells[:2]]
            return [*names, label]
    cells = line.split()
    comment = next((n for n, cell in enumerate(cells) if cell.startswith("#")), len(cells))
    if comment == 3 or (len(cells) >= 3 and cells[2].partition("#")[0] in LABELS):
        return [*cells[:2], cells[2].partition("#")[0], *cells[3:comment]]
    return cells[:comment]


def _pair(fields: list[str], index: dict[str, int], prints: Sequence[Print]) -> Pair:
    if len(fields) != 3 or fields[2] not in LABELS:
        raise ValueError(
            f"{shortened(' '.join(fields), 200)!r}: expected NAME0 NAME1 genuine|impostor"
        )
    found = []
    for name in fields[:2]:
        number = index.get(name, index.get(same_name(name)))
        if number is None:
            raise ValueError(f"there is no print {name!r} in the data set")
        found.append(number)
    (first, second), genuine = found, LABELS[fields[2]]
    if first == second:
        raise ValueError(f"{fields[0]} is compared with itself")
    fingers = [(prints[number].dataset, prints[number].finger) for number in found]
    same = fingers[0] == fingers[1]
    if same != genuine:
        raise ValueError(
            f"{fields[2]}, but {fields[0]} and {fields[1]} are of "
            f"{'one finger' if same else 'two fingers'}"
        )
    return Pair(first, second, genuine)


def _check_complete(prints: Sequence[Print]) -> None:
    """Warn where the FVC counts F·K(K-1)/2 and F(F-1)/2 cannot come out."""
    fingers = _by_finger(prints)
    most = max(map(len, fingers))
    short = [prints[own[0]].finger for own in fingers if len(own) < most]
    if short:
        logger.warning(
            "%d of %d fingers have fewer than %d impressions (%s): the FVC protocol's counts are "
            "those of what is there",
            *(len(short), len(fingers), most, ", ".join(short[:5])),
        )
