"""The first stages of a search: all index vectors, then the dense maps of some thousands.

The first is exact: a matrix product with every vector of the gallery, held in memory as int8. The
second reads the maps that it needs from the store. The third is :mod:`ifvit.gallery.rescore`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Int8, UInt64

from ifvit.comparison.print_similarity import map_similarity, shifted, unit_index
from ifvit.comparison.result import MatchResult
from ifvit.features.coder import INT8, Template
from ifvit.gallery.row_store import Store
from ifvit.gallery.rows import maps_of

MAPS = 2000
"""Number of prints whose dense maps are compared: those with the best index vectors."""

CACHED = 512
"""Number of index vectors converted to floats at once: they stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The part of a gallery that is in memory: the index vectors of one version."""

    version: int
    numbers: UInt64[np.ndarray, " P"]
    """Numbers of the rows in the store."""
    index: Int8[np.ndarray, "P E"]
    lengths: Float[np.ndarray, " P"]
    """Lengths of the index vectors as they are stored."""

    def __len__(self) -> int:
        """Return the number of prints."""
        return len(self.numbers)


def snapshot(store: Store) -> Snapshot:
    """Read a gallery's index vectors, as it is now."""
    return held_rows(store, store.refresh())


def held_rows(store: Store, version: int, start: int = 0, count: int | None = None) -> Snapshot:
    """Read the index vectors of a version, or those of ``count`` rows from ``start`` on."""
    numbers, index = store.index(start, count)
    lengths = np.empty(len(index), np.float32)
    for first in range(0, len(index), CACHED):
        few = index[first : first + CACHED].astype(np.float32)
        lengths[first : first + CACHED] = np.sqrt(np.einsum("pe,pe->p", few, few))
    return Snapshot(version, numbers, index, np.maximum(lengths, 1e-9))


@dataclass(frozen=True)
class Found:
    """A print that a search has found."""

    number: int
    """Number of its row in the store."""
    index_score: float
    map_score: float
    result: MatchResult | None = None
    """Result of pair mode, where the pair was compared: print 0 is the probe."""

    @property
    def rank(self) -> tuple[bool, float]:
        """Return the key that orders candidates: compared pairs first, by score, then the others by
        their maps."""
        if self.result is None:
            return False, self.map_score
        return True, self.result.score


def index_scores(held: Snapshot, template: Template) -> Float[np.ndarray, " P"]:
    """Return the cosine of a probe's index vector with each of the gallery's."""
    probe = unit_index(template.index[None])[0]
    scores = np.empty(len(held), np.float32)
    if len(held) and held.index.shape[1] != len(probe):
        raise ValueError(
            f"index vectors of {held.index.shape[1]} numbers, the probe's has {len(probe)}: run "
            "`ifvit gallery upgrade`"
        )
    buffer = np.empty((CACHED, len(probe)), np.float32)
    for start in range(0, len(held), CACHED):
        few = held.index[start : start + CACHED]
        floats = buffer[: len(few)]
        np.copyto(floats, few)
        np.dot(floats, probe, out=scores[start : start + len(few)])
    return scores / held.lengths


def best(scores: Float[np.ndarray, " P"], count: int) -> Int[np.ndarray, " best"]:
    """Return the places of the highest scores, highest first; of equal ones the earlier first."""
    count = min(count, len(scores))
    if count == 0:
        return np.zeros(0, int)
    # Scores equal to the last one that counts are all sorted, so that the choice is determined.
    limit = np.partition(scores, len(scores) - count)[len(scores) - count]
    places = np.flatnonzero(scores >= limit)
    return places[np.argsort(-scores[places], kind="stable")][:count]


def map_scores(maps: Sequence[bytes], template: Template) -> Float[np.ndarray, " P"]:
    """Return the similarity of a probe's dense map with those of some rows, as they are stored."""
    if not len(maps):
        return np.zeros(0, np.float32)
    cells, mask = maps_of(maps)
    # All shifts of the probe in one product, so that thousands of maps are read once for all.
    own = template.cells[None].astype(np.float32) / INT8
    moved, shown = map(np.concatenate, zip(*shifted(own, template.mask[None]), strict=True))
    made = map_similarity(cells.astype(np.float32) / INT8, mask, moved, shown > 0, reach=0)
    return np.asarray(made.max(axis=1), np.float32)


def stored_maps(store: Store, numbers: UInt64[np.ndarray, " P"]) -> list[bytes]:
    """Return the dense maps of some rows, read from the store."""
    return [data or b"" for data in store.values(numbers.tolist(), "map")]


def shortlist(store: Store, held: Snapshot, template: Template, most: int = MAPS) -> list[Found]:
    """Return the prints with the best dense maps among those with the best index vectors."""
    by_index = index_scores(held, template)
    places = best(by_index, most)
    numbers = held.numbers[places]
    return by_maps(numbers, by_index[places], map_scores(stored_maps(store, numbers), template))


def by_maps(
    numbers: UInt64[np.ndarray, " P"],
    index_scores: Float[np.ndarray, " P"],
    map_scores: Float[np.ndarray, " P"],
) -> list[Found]:
    """Return prints in the order of their maps, the most alike first."""
    return [
        Found(int(numbers[one]), float(index_scores[one]), float(map_scores[one]))
        for one in best(map_scores, len(numbers))
    ]
