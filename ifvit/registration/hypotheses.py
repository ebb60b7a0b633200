"""Hypotheses: several ways to lay print 1 on print 0, as arrays.

Where Module 1 is asked about one rotation or another, each answer is such a way: what of print 0's
coarse cells it found in print 1, the similarity that most of these agree with, and the displacement
that they show beside it. Pixels (x, y) of the frames.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ifvit.geometry.transforms import similarity


class Hypotheses(NamedTuple):
    """A ways to lay one print on another; N = h·w coarse cells of print 0."""

    H_0to1: Float[np.ndarray, "A 2 3"]
    displacement: Float[np.ndarray, "A h w 2"]
    """What is added to each cell's centre before that."""
    bent: Bool[np.ndarray, " A"]
    """Whether enough cells agree to show a displacement; elsewhere it is 0."""
    points1: Float[np.ndarray, "A N 2"]
    """Where in frame 1 each cell of frame 0 was found."""
    confidence: Float[np.ndarray, "A N"]
    """Of that; 0 for a cell that was not found."""
    spread: Float[np.ndarray, "A N"]
    """How far off it is if the cell is the right one, as Module 1 believes: pixels, the scale of a
    Laplace distribution."""
    inliers: Bool[np.ndarray, "A N"]
    """Cells that agree with similarity and displacement."""

    @property
    def num_inliers(self) -> Int[np.ndarray, " A"]:
        """Return how many cells agree."""
        return self.inliers.sum(axis=-1)


def rotations(angles: Float[np.ndarray, " A"], side: int) -> Float[np.ndarray, "A 2 3"]:
    """Return the rotations by ``angles``, degrees, about the middle of frames of this side."""
    middle = (side - 1) / 2
    return np.array([similarity(angle, (middle, middle)) for angle in angles])


def joined(first: Hypotheses, second: Hypotheses) -> Hypotheses:
    """Return the hypotheses of both."""
    return Hypotheses(*(np.concatenate(both) for both in zip(first, second, strict=True)))


def most_confident(found: Hypotheses, count: int | None = None) -> Hypotheses:
    """Return the ``count`` hypotheses that most speaks for, or all, the best first.

    That is the confidence of their inliers in sum: at a wrong angle many weak ones can agree.
    """
    sums = [values[who].sum() for values, who in zip(found.confidence, found.inliers, strict=True)]
    order = np.argsort(-np.array(sums, float), kind="stable")[:count]
    return Hypotheses(*(array[order] for array in found))


def better(before: Hypotheses, after: Hypotheses) -> Hypotheses:
    """Return, of each hypothesis and what became of it, the one that more cells agree with."""
    improved = after.num_inliers >= np.maximum(before.num_inliers, 3)

    def one(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return np.where(improved.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    return Hypotheses(*map(one, before, after))
