"""The interface of a source of batches."""

from __future__ import annotations

from typing import Protocol, TypeVar, runtime_checkable

Batch_co = TypeVar("Batch_co", covariant=True)


@runtime_checkable
class Source(Protocol[Batch_co]):
    """A source of training batches. Its constructor takes all that decides what it draws."""

    def batch(self, index: int, size: int) -> Batch_co:
        """Return batch ``index`` of ``size`` pairs or prints, the same at every call."""
        ...


def first_batches(source: Source[Batch_co], least: int, size: int) -> list[Batch_co]:
    """Return the first batches, each of ``size``, with at least ``least`` pairs or prints."""
    return [source.batch(index, size) for index in range(-(-least // size))]
