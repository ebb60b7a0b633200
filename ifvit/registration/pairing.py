"""Pairs put in order, and drawn: what registration and Module 2 work on together."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from ifvit.features.canvas import Canvas
from ifvit.features.fit import Fit
from ifvit.features.prepared import PreparedPrint
from ifvit.geometry.grid import Frame


@runtime_checkable
class _Turnable(Protocol):
    def transposed(self) -> Any: ...


Result = TypeVar("Result", bound=_Turnable)


class OrderedPair(NamedTuple):
    """A pair in the order in which it is worked on."""

    place: int
    """Which of the pairs that were given it is."""
    prints: tuple[PreparedPrint, PreparedPrint]
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
    """Pairs whose canvases have one size; both trees have a leading axis, perhaps padded."""

    pairs: list[OrderedPair]
    canvases0: Canvas
    canvases1: Canvas


def in_order(place: int, pair: tuple[PreparedPrint, PreparedPrint], fit: Fit) -> OrderedPair:
    """Put the prints of a pair in the order of their digests.

    Cross attention is not symmetric, nor is RANSAC. Each pair is therefore worked on in one order,
    whichever way it was given: exactly symmetric, and at half the cost of a mean over both orders.
    """
    swapped = pair[0].order > pair[1].order
    return OrderedPair(place, pair[::-1] if swapped else pair, fit, swapped)
