"""Who is enrolled twice: all prints of a gallery against all, in blocks, resumed where it stopped.

Each print's nearest neighbours by index vector, among prints that are labelled as other fingers,
are compared by their dense maps, and those that are similar there in pair mode. Progress is written
to ``dedupe.json`` of the gallery's folder after every block, and is valid as long as the gallery
does not change.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from tqdm import tqdm

from ifvit.comparison.print_similarity import map_similarity
from ifvit.comparison.result import MatchResult
from ifvit.features.coder import INT8
from ifvit.files import write_atomically
from ifvit.gallery.engine import is_remote
from ifvit.gallery.enrolment import identity
from ifvit.gallery.row_store import Store
from ifvit.gallery.rows import maps_of
from ifvit.gallery.search import Snapshot
from ifvit.texts import read_json

STATE_FILE = "dedupe.json"

BLOCK, STRIPE = 512, 8192
"""Number of prints in a block, and of prints that one matrix product compares with it."""

NEIGHBOURS = 10
"""Number of prints of other fingers that are compared with each print: those with the best index
vectors."""

ALIKE = 0.3
"""Similarity of dense maps from which two prints are compared in pair mode."""


@dataclass(frozen=True)
class Double:
    """Two similar prints that are labelled as two fingers."""

    id0: str
    id1: str
    map_score: float
    score: float | None = None
    """Score of pair mode; None where a print is not kept."""


Compare = Callable[[int, int], MatchResult | None]
"""A function that matches two prints in pair mode, by the numbers of their rows; it returns None
where one is not kept."""


def doubles(store: Store, held: Snapshot, compare: Compare, fingerprint: str) -> list[Double]:
    """Return all pairs that were compared in pair mode, or would be if their prints were kept.

    ``fingerprint`` is that of all that scores depend on: progress made with another one is
    dropped.
    """
    labels = store.labels_at(held.numbers.tolist())
    ids = [one["id"] for one in labels]
    state = _State(store.uri, {"version": held.version, "made_by": fingerprint, "block": BLOCK})
    codes = _identities(labels)
    for start in tqdm(range(state.done, len(held), BLOCK), desc="comparing", unit="block"):
        rows = np.arange(start, min(start + BLOCK, len(held)))
        alike = _alike(store, held, rows, neighbours(held, rows, codes))
        new = [pair for pair in alike if (ids[pair[0]], ids[pair[1]]) not in state.pairs]
        for places in new:
            pair = ids[places[0]], ids[places[1]]
            result = compare(*(int(held.numbers[place]) for place in places))
            score = None if result is None else result.score
            state.pairs[pair] = Double(*pair, alike[places], score)
        state.save(start + BLOCK)
    found = list(state.pairs.values())
    state.end()
    return sorted(found, key=lambda d: (d.score is None, -(d.score or 0), -d.map_score))


def neighbours(
    held: Snapshot, places: Int[np.ndarray, " b"], codes: Int[np.ndarray, " P"]
) -> Int[np.ndarray, "b k"]:
    """Return, for the prints at ``places``, the nearest prints of other fingers, or -1."""
    own = held.index[places].astype(np.float32) / held.lengths[places, None]
    scores = np.full((len(places), NEIGHBOURS), -2, np.float32)
    nearest = np.full((len(places), NEIGHBOURS), -1)
    for start in range(0, len(held), STRIPE):
        few = held.index[start : start + STRIPE].astype(np.float32)
        made = own @ (few / held.lengths[start : start + STRIPE, None]).T
        made[codes[places][:, None] == codes[start : start + STRIPE]] = -2
        numbers = np.broadcast_to(np.arange(start, start + len(few)), made.shape)
        scores, nearest = _highest(
            np.concatenate([scores, made], 1), np.concatenate([nearest, numbers], 1)
        )
    return np.where(scores > -2, nearest, -1)


def _highest(
    scores: Float[np.ndarray, "b n"], numbers: Int[np.ndarray, "b n"]
) -> tuple[Float[np.ndarray, "b k"], Int[np.ndarray, "b k"]]:
    chosen = np.argpartition(-scores, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
    return np.take_along_axis(scores, chosen, 1), np.take_along_axis(numbers, chosen, 1)


def _alike(
    store: Store, held: Snapshot, places: Int[np.ndarray, " b"], near: Int[np.ndarray, "b k"]
) -> dict[tuple[int, int], float]:
    """Return the pairs whose dense maps are alike, the earlier print first, and how alike."""
    used = np.unique(np.concatenate([places, near[near >= 0]]))
    numbers = [int(one) for one in held.numbers[used]]
    cells, mask = maps_of([data or b"" for data in store.values(numbers, "map")])
    at = {int(place): row for row, place in enumerate(used)}
    found = {}
    for place, row in zip(places.tolist(), near, strict=True):
        others = [int(one) for one in row if one >= 0]
        if not others:
            continue
        chosen, own = [at[one] for one in others], [at[place]]
        floats = (cells[some].astype(np.float32) / INT8 for some in (chosen, own))
        first, second = floats
        made = map_similarity(first, mask[chosen], second, mask[own])[:, 0]
        for other, score in zip(others, made.tolist(), strict=True):
            if score >= ALIKE:
                found[min(place, other), max(place, other)] = score
    return found


def _identities(labels: Sequence[dict]) -> Int[np.ndarray, " P"]:
    """Return a number for each print, equal for prints that are labelled as one finger."""
    known: dict[Sequence[str], int] = {}
    whose = (identity(one["subject"], one["finger"], one["id"]) for one in labels)
    return np.array([known.setdefault(one, len(known)) for one in whose], int)


class _State:
    """The progress in a gallery, written to disk after each block."""

    def __init__(self, uri: str, of: dict) -> None:
        self._of, self._file = of, None if is_remote(uri) else Path(uri) / STATE_FILE
        self.done, self.pairs = 0, dict[tuple[str, str], Double]()
        if self._file is not None and self._file.exists():
            kept = read_json(self._file, "the progress of `ifvit dedupe`; remove it to begin anew")
            if kept.get("of") == of:
                self.done = kept["done"]
                listed = (Double(**one) for one in kept["pairs"])
                self.pairs = {(one.id0, one.id1): one for one in listed}

    def save(self, done: int) -> None:
        if self._file is not None:
            pairs = [asdict(one) for one in self.pairs.values()]
            values = {"of": self._of, "done": done, "pairs": pairs}
            write_atomically(self._file, json.dumps(values).encode(), mode=0o600)

    def end(self) -> None:
        if self._file is not None and self._file.exists():
            os.unlink(self._file)
