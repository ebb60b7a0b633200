"""The last stage of a search: kept prints, registered with the probe or with each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from ifvit.comparison.result import MatchResult
from ifvit.features.features import Features
from ifvit.gallery.row_store import Store
from ifvit.gallery.search import Found, Snapshot
from ifvit.matcher import Matcher

PAIRS = 20
"""Prints that are registered with a probe: those with the best dense maps."""

AT_ONCE = 4
"""Pairs after which it is asked whether one is beyond doubt."""


class Rescorer:
    """Pair mode on the prints of a gallery, by their places in a snapshot."""

    def __init__(self, store: Store, held: Snapshot, matcher: Matcher) -> None:
        """Take a store, what of it is in memory, and what compares pairs."""
        self._store, self._held, self._matcher = store, held, matcher

    def kept(self, places: Sequence[int]) -> dict[int, Features]:
        """Return the prints in these places that are kept, measured."""
        numbers = [int(self._held.numbers[place]) for place in places]
        images = zip(places, self._store.values(numbers, "print"), strict=True)
        return {place: self._measured(place, image) for place, image in images if image is not None}

    def _measured(self, place: int, image: bytes) -> Features:
        label = self._held.label(place)
        return self._matcher.extract(image, label["ppi"], label["name"])

    def results(self, probe: Features, places: Sequence[int]) -> dict[int, MatchResult]:
        """Return the results of a probe, as print 0, with the prints in these places, if kept."""
        prints = self.kept(places)
        made = self._matcher.match_pairs([(probe, one) for one in prints.values()])
        return dict(zip(prints, made, strict=True))

    def score(self, place0: int, place1: int) -> float | None:
        """Return the score of two prints of the gallery; None where one is not kept."""
        result = self.pair(place0, place1)
        return None if result is None else result.score

    def pair(self, place0: int, place1: int) -> MatchResult | None:
        """Match two prints of the gallery; None where one is not kept."""
        prints = self.kept([place0, place1])
        return self._matcher.match(*prints.values()) if len(prints) == 2 else None

    def rescored(
        self, found: Sequence[Found], probe: Features, beyond_doubt: Callable[[float], bool]
    ) -> list[Found]:
        """Return what a search has found, the first of it with pair mode's results, best first.

        Once a score is ``beyond_doubt`` no further pairs are made.
        """
        made: dict[int, MatchResult] = {}
        for start in range(0, min(PAIRS, len(found)), AT_ONCE):
            few = [one.place for one in found[start : min(PAIRS, start + AT_ONCE)]]
            results = self.results(probe, few)
            made |= results
            if any(beyond_doubt(one.score) for one in results.values()):
                break
        listed = [replace(one, result=made.get(one.place)) for one in found]
        return sorted(listed, key=lambda one: one.rank, reverse=True)
