"""Which print is compared with which: the comparison lists of evaluation protocols."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from ifvit.data.prints import Print


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
