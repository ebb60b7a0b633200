"""The last stage of a search: kept prints, registered with the probe or with each other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from ifvit.comparison.result import MatchResult
from ifvit.features.features import Features
from ifvit.gallery.row_store import Store
from ifvit.gallery.search import Found
from ifvit.matcher import Matcher

logger = logging.getLogger("ifvit")

PAIRS = 20
"""Prints that are registered with a probe: those with the best dense maps."""

AT_ONCE = 4
"""Pairs after which it is asked whether one is beyond doubt."""


class Rescorer:
    """Pair mode on the prints of a gallery, by the numbers of their rows."""

    def __init__(self, store: Store, matcher: Matcher) -> None:
        """Take a store, and what compares pairs."""
        self._store, self._matcher = store, matcher

    def kept(self, numbers: Sequence[int]) -> dict[int, Features]:
        """Return those of some prints that are kept, measured.

        One that cannot be read, which a later version may refuse, is a warning.
        """
        images, made = self._store.values(numbers, "print"), dict[int, Features]()
        for number, image, label in zip(
            numbers, images, self._store.labels_at(numbers), strict=True
        ):
            if image is not None:
                try:
                    made[number] = self._matcher.extract(image, label["ppi"], label["name"])
                except ValueError as error:
                    logger.warning("print %s cannot be compared: %s", label["id"], error)
        return made

    def results(self, probe: Features, numbers: Sequence[int]) -> dict[int, MatchResult]:
        """Return the results of a probe, as print 0, with those of some prints that are kept."""
        prints = self.kept(numbers)
        made = self._matcher.match_pairs([(probe, one) for one in prints.values()])
        return dict(zip(prints, made, strict=True))

    def pair(self, number0: int, number1: int) -> MatchResult | None:
        """Match two prints of the gallery; None where one is not kept."""
        prints = self.kept([number0, number1])
        return self._matcher.match(*prints.values()) if len(prints) == 2 else None

    def rescored(
        self, found: Sequence[Found], probe: Features, beyond_doubt: Callable[[float], bool]
    ) -> list[Found]:
        """Return what a search has found, the first of it with pair mode's results, best first.

        Once a score is ``beyond_doubt`` no further pairs are made.
        """
        made: dict[int, MatchResult] = {}
        for start in range(0, min(PAIRS, len(found)), AT_ONCE):
            few = [one.number for one in found[start : min(PAIRS, start + AT_ONCE)]]
            results = self.results(probe, few)
            made |= results
            if any(beyond_doubt(one.score) for one in results.values()):
                break
        listed = [replace(one, result=made.get(one.number)) for one in found]
        return sorted(listed, key=lambda one: one.rank, reverse=True)
