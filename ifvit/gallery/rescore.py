"""The last stage of a search, pair mode: kept prints registered with the probe."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from ifvit.comparison.result import MatchResult
from ifvit.data.given import grey_values
from ifvit.features.features import Features, features_of
from ifvit.gallery.made_by import made_by
from ifvit.gallery.row_store import Store
from ifvit.gallery.rows import Row
from ifvit.gallery.search import Found
from ifvit.matcher import Matcher
from ifvit.runtime.threads import in_parallel

logger = logging.getLogger("ifvit")

PAIRS = 20
"""Number of prints that are registered with a probe: those with the best dense maps."""

FIRST, AT_ONCE = 2, 6
"""Numbers of pairs after which the search checks whether one is beyond doubt: soon at first, then
less often, since cores wait for each other at a check."""


class Rescorer:
    """Pair mode on the prints of a gallery, by the numbers of their rows."""

    def __init__(self, store: Store, matcher: Matcher) -> None:
        """Take a store, and the Matcher that compares pairs."""
        self._store, self._matcher, self._made_by = store, matcher, made_by(matcher)

    def kept(self, numbers: Sequence[int]) -> dict[int, Features]:
        """Return those of some prints that are kept, measured on all cores.

        A print that cannot be read, since a later version refuses it, leads to a warning.
        """
        rows = self._store.rows_at(numbers)
        made = zip(numbers, in_parallel(self._measured, rows), strict=True)
        return {number: features for number, features in made if features is not None}

    def _measured(self, row: Row) -> Features | None:
        if row.image is None:
            return None
        try:
            if row.made_by != self._made_by:
                return self._matcher.extract(row.image, row.ppi, row.name)
            # Its enrolment has checked that it is a print, and its template is there.
            pixels = grey_values(row.image, row.name or "the print")
            features = features_of(pixels, row.ppi, row.name)
        except ValueError as error:
            logger.warning("print %s cannot be compared: %s", row.id, error)
            return None
        features.templates[self._matcher.coder.engine.matcher_sha256] = row.template
        return features

    def results(self, probe: Features, numbers: Sequence[int]) -> dict[int, MatchResult]:
        """Match a probe, as print 0, with those of some prints that are kept."""
        prints = self.kept(numbers)
        made = self._matcher.match_pairs([(probe, one) for one in prints.values()])
        return dict(zip(prints, made, strict=True))

    def pair(self, number0: int, number1: int) -> MatchResult | None:
        """Match two prints of the gallery; None where one is not kept."""
        prints = self.kept([number0, number1])
        return self._matcher.match(*prints.values()) if len(prints) == 2 else None

    def named(self, id0: str, id1: str) -> MatchResult:
        """Match two prints by their ids; raises ValueError where one is unknown, or not kept."""
        number0, number1 = (self._store.find(id)[0] for id in (id0, id1))
        result = self.pair(number0, number1)
        if result is None:
            raise ValueError(f"prints {id0} and {id1} are not both kept: enrol by --keep-prints")
        return result


Results = Callable[[Features, Sequence[int]], dict[int, MatchResult]]
"""A function that matches a probe with some prints, by the numbers of their rows; prints that are
not kept are left out."""


def rescored(
    found: Sequence[Found],
    probe: Features,
    results: Results,
    beyond_doubt: Callable[[float], bool],
) -> list[Found]:
    """Return the prints that a search has found, the first ones with pair mode's results, best
    first.

    Once a score is ``beyond_doubt`` no further pairs are compared.
    """
    made: dict[int, MatchResult] = {}
    chosen = [one.number for one in found[:PAIRS]]
    ends = [0, *range(FIRST, len(chosen), AT_ONCE), len(chosen)]
    for start, end in pairwise(ends):
        few = results(probe, chosen[start:end])
        made |= few
        if any(beyond_doubt(one.score) for one in few.values()):
            break
    listed = [replace(one, result=made.get(one.number)) for one in found]
    return sorted(listed, key=lambda one: one.rank, reverse=True)
