"""Hypotheses: several ways to lay print 1 on print 0, for each of P pairs, as arrays.

Where Module 1 is asked about one rotation or another, each answer is such a way: what of print 0's
coarse cells it found in print 1, the similarity that most of these agree with, and the displacement
that they show beside it. Pixels (x, y) of the frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ifvit.geometry.transforms import similarity


class Hypotheses(NamedTuple):
    """A ways for each of P pairs; N = h·w coarse cells of print 0."""

    H_0to1: Float[np.ndarray, "P A 2 3"]
    displacement: Float[np.ndarray, "P A h w 2"]
    """What is added to each cell's centre before that."""
    bent: Bool[np.ndarray, "P A"]
    """Whether enough cells agree to show a displacement; elsewhere it is 0."""
    points1: Float[np.ndarray, "P A N 2"]
    """Where in frame 1 each cell of frame 0 was found."""
    confidence: Float[np.ndarray, "P A N"]
    """Of that; 0 for a cell that was not found."""
    inliers: Bool[np.ndarray, "P A N"]
    """Cells that agree with similarity and displacement."""

    @property
    def num_inliers(self) -> Int[np.ndarray, "P A"]:
        """Return how many cells agree."""
        return self.inliers.sum(axis=-1)


def rotations(angles: Float[np.ndarray, "P A"], side: int) -> Float[np.ndarray, "P A 2 3"]:
    """Return the rotations by ``angles``, degrees, about the middle of frames of this side."""
    middle = (side - 1) / 2
    return np.array([[similarity(angle, (middle, middle)) for angle in few] for few in angles])


def suggested(H_0to1: Float[np.ndarray, "P K 2 3"], cells: int) -> Hypotheses:
    """Return alignments that something else suggests, which no match bears out as yet."""
    lead = H_0to1.shape[:2]
    none = np.zeros((*lead, cells**2))
    return Hypotheses(
        H_0to1=H_0to1,
        displacement=np.zeros((*lead, cells, cells, 2)),
        bent=np.zeros(lead, bool),
        points1=np.zeros((*lead, cells**2, 2)),
        confidence=none.astype(np.float32),
        inliers=none.astype(bool),
    )


def joined(first: Hypotheses, second: Hypotheses) -> Hypotheses:
    """Return the hypotheses of both, for each pair."""
    return Hypotheses(*(np.concatenate(both, axis=1) for both in zip(first, second, strict=True)))


def most_confident(found: Hypotheses, count: int | None = None) -> Hypotheses:
    """Return the ``count`` hypotheses of each pair that most speaks for, or all, the best first.

    That is the confidence of their inliers in sum: at a wrong angle many weak ones can agree.
    """
    both = zip(found.confidence, found.inliers, strict=True)
    sums = [[values[who].sum() for values, who in zip(*few, strict=True)] for few in both]
    order = [np.argsort(-np.array(few, float), kind="stable")[:count] for few in sums]
    return _taken(found, order)


def better(before: Hypotheses, after: Hypotheses) -> Hypotheses:
    """Return, of each hypothesis and what became of it, the one that more cells agree with."""
    improved = after.num_inliers >= np.maximum(before.num_inliers, 3)

    def one(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return np.where(improved.reshape(*improved.shape, *[1] * (old.ndim - 2)), new, old)

    return Hypotheses(*map(one, before, after))


def _taken(found: Hypotheses, order: Sequence[Int[np.ndarray, " K"]]) -> Hypotheses:
    """Return some hypotheses of each pair, by their numbers."""
    rows = np.arange(len(order))[:, None], np.array(order, int).reshape(len(order), -1)
    return Hypotheses(*(array[rows] for array in found))
