"""A worker of a cluster: it holds a part of a gallery in memory, compares pairs, embeds prints.

Every call names its part and the version of the gallery. A worker that was restarted therefore
needs no state of the one before it: it reads its part again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt64

from ifvit.comparison.result import MatchResult
from ifvit.features.coder import Template
from ifvit.features.features import Features
from ifvit.gallery.enrolment import Entry
from ifvit.gallery.made_by import made_by
from ifvit.gallery.reading import Read, Unread, read_print
from ifvit.gallery.rescore import Rescorer
from ifvit.gallery.row_store import Store
from ifvit.gallery.sealing import Sealer
from ifvit.gallery.search import MAPS, Snapshot, best, held_rows, index_scores, map_scores
from ifvit.matcher import Matcher


class Part(NamedTuple):
    """A range of consecutive rows of a gallery, in one version of it."""

    version: int
    start: int
    rows: int


class Opening(NamedTuple):
    """All that a worker needs to open a gallery."""

    uri: str
    """An absolute folder that all machines have, or a URI of an object store."""
    key: bytes | None
    load: Callable[[], Matcher]
    made_by: str
    """The sha256 that the worker's weights and settings must have
    (:mod:`ifvit.gallery.made_by`)."""


class Worker:
    """One process of a cluster. It loads nothing before it first needs it."""

    def __init__(self, opening: Opening) -> None:
        """Take what is needed to open the gallery."""
        self._opening = opening
        self._part: Part | None = None
        self._probe: Features | None = None

    def process(self) -> int:
        """Return the id of this worker's process."""
        return os.getpid()

    @cached_property
    def _store(self) -> Store:
        key = self._opening.key
        return Store.open(self._opening.uri, None if key is None else Sealer(key))

    @cached_property
    def _matcher(self) -> Matcher:
        made = self._opening.load()
        if (own := made_by(made)) != self._opening.made_by:
            raise ValueError(
                f"a worker has other weights or settings ({own[:12]}, not "
                f"{self._opening.made_by[:12]}): install one version of ifvit on all machines"
            )
        return made

    def hold(self, part: Part) -> None:
        """Read the index vectors and dense maps of a part into memory."""
        if part != self._part:
            self._store.at(part.version)
            self._held: Snapshot = held_rows(self._store, *part)
            self._maps = self._store.maps(part.start, part.rows)
            self._part = part

    def by_index(
        self, part: Part, template: Template
    ) -> tuple[UInt64[np.ndarray, " P"], Float[np.ndarray, " P"]]:
        """Return the numbers and scores of a part's best index vectors, best first."""
        self.hold(part)
        scores = index_scores(self._held, template)
        places = best(scores, MAPS)
        return self._held.numbers[places], scores[places]

    def by_map(
        self, part: Part, numbers: UInt64[np.ndarray, " P"], template: Template
    ) -> Float[np.ndarray, " P"]:
        """Return how alike the probe's dense map and those of some rows of a part are."""
        self.hold(part)
        return map_scores([self._maps[number] for number in numbers.tolist()], template)

    def pair(self, version: int, number: int, probe: Features) -> MatchResult | None:
        """Match a probe with a print of the gallery; return None where the print is not kept."""
        self._store.at(version)
        if self._probe is None or self._probe.digest != probe.digest:
            self._probe = probe  # what is drawn of it is kept for its next pair
        return Rescorer(self._store, self._matcher).results(self._probe, [number]).get(number)

    def read(self, entry: Entry) -> Read | Unread:
        """Read and embed a print that is to be enrolled."""
        return read_print(self._matcher, entry)
