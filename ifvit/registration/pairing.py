"""Pairs put in order, and drawn by one factor each: what is worked on in one call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from ifvit.features.extractor import Extractor
from ifvit.features.features import Features
from ifvit.features.fit import Fit
from ifvit.features.frame_features import FeatureMap, FrameFeatures, stacked
from ifvit.geometry.grid import Frame


@runtime_checkable
class _Turnable(Protocol):
    def transposed(self) -> Any: ...


Result = TypeVar("Result", bound=_Turnable)


class OrderedPair(NamedTuple):
    """A pair in the order in which it is worked on."""

    place: int
    """Which of the pairs that were given it is."""
    prints: tuple[Features, Features]
    fit: Fit
    swapped: bool

    @property
    def frames(self) -> tuple[Frame, Frame]:
        """Return where the frames lie on their prints."""
        return self.prints[0].placed(self.fit), self.prints[1].placed(self.fit)

    def given(self, result: Result) -> Result:
        """Return a result for the prints in the order in which they were given."""
        return result.transposed() if self.swapped else result


class Group(NamedTuple):
    """Pairs whose canvases have one size; the trees have a leading axis P, perhaps padded."""

    pairs: list[OrderedPair]
    frames0: FrameFeatures
    frames1: FrameFeatures
    map0: FeatureMap
    """Of prints 0 alone: prints 1 are drawn anew for each look of Module 1."""

    @property
    def canvas(self) -> int:
        """Return the side of their canvas, the network's pixels."""
        return self.pairs[0].fit.canvas


def in_order(place: int, pair: tuple[Features, Features], fit: Fit) -> OrderedPair:
    """Put the prints of a pair in the order of their digests.

    Cross attention is not symmetric, nor is RANSAC. Each pair is therefore worked on in one order,
    whichever way it was given: exactly symmetric, and at half the cost of a mean over both orders.
    """
    swapped = pair[0].order > pair[1].order
    return OrderedPair(place, pair[::-1] if swapped else pair, fit, swapped)


def grouped(pairs: Sequence[tuple[Features, Features]], extractor: Extractor) -> Iterator[Group]:
    """Draw pairs of prints, and yield those that are drawn on canvases of one size together.

    Each group is filled up, by its last pair, to the number of all pairs: every other number would
    be compiled anew.
    """
    ordered = [in_order(place, pair, extractor.fit(*pair)) for place, pair in enumerate(pairs)]
    for side in sorted({pair.fit.canvas for pair in ordered}):
        own = [pair for pair in ordered if pair.fit.canvas == side]
        filled = own + own[-1:] * (len(pairs) - len(own))
        first = stacked([extractor.at(pair.prints[0], pair.fit) for pair in filled])
        second = stacked([extractor.at(pair.prints[1], pair.fit) for pair in filled])
        maps = stacked([extractor.map_at(pair.prints[0], pair.fit) for pair in filled])
        yield Group(own, first, second, maps)
