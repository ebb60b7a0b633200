"""One interface for the stages of a search, done by this process or by the workers of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ifvit.comparison.result import MatchResult
from ifvit.features.coder import Template
from ifvit.features.features import Features
from ifvit.gallery.enrolment import Entry
from ifvit.gallery.reading import Read, Unread, read_print
from ifvit.gallery.rescore import Rescorer
from ifvit.gallery.row_store import Store
from ifvit.gallery.search import Found, Snapshot, shortlist
from ifvit.matcher import Matcher
from ifvit.runtime.threads import in_parallel


@runtime_checkable
class Stages(Protocol):
    """The stages of a search in one version of a gallery."""

    def __len__(self) -> int:
        """Return the number of prints."""

    def shortlist(self, template: Template) -> list[Found]:
        """Return the prints that are most alike by index vectors, then by dense maps."""

    def results(self, probe: Features, numbers: Sequence[int]) -> dict[int, MatchResult]:
        """Match a probe, as print 0, with some prints in pair mode; leave out those not kept."""


def read_here(matcher: Matcher, entries: Sequence[Entry]) -> list[Read | Unread]:
    """Read and embed prints that are to be enrolled, on all cores of this machine."""
    return in_parallel(lambda entry: read_print(matcher, entry), entries)


class Embedded:
    """The stages in this process, on all its cores."""

    def __init__(self, store: Store, held: Snapshot, matcher: Matcher) -> None:
        """Take a gallery, its snapshot in memory, and the Matcher that compares pairs."""
        self._store, self._held = store, held
        self.results = Rescorer(store, matcher).results

    def __len__(self) -> int:
        """Return the number of prints."""
        return len(self._held)

    def shortlist(self, template: Template) -> list[Found]:
        """Return the prints that are most alike by index vectors, then by dense maps."""
        return shortlist(self._store, self._held, template)
