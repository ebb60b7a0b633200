"""Hypotheses: several ways to lay print 1 on print 0, as arrays.

For each rotation that Module 1 is given, its matches are one hypothesis: where it found the coarse
cells of print 0 in print 1, the similarity that most of these agree with, and the displacement that
they show beside it. All are in pixels (x, y) of the frames.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ifvit.geometry.transforms import compose, similarity


class Hypotheses(NamedTuple):
    """A hypotheses on how one print lies on another; print 0 has N = h·w coarse cells."""

    H_0to1: Float[np.ndarray, "A 2 3"]
    displacement: Float[np.ndarray, "A h w 2"]
    """Displacement added to each cell's centre before ``H_0to1`` is applied."""
    bent: Bool[np.ndarray, " A"]
    """Whether enough cells agree to show a displacement; elsewhere ``displacement`` is 0."""
    points1: Float[np.ndarray, "A N 2"]
    """Where in frame 1 each cell of frame 0 was found."""
    confidence: Float[np.ndarray, "A N"]
    """Confidence of the match of each cell; 0 for a cell that was not found."""
    spread: Float[np.ndarray, "A N"]
    """Module 1's prediction of how far off ``points1`` is if the cell is the right one: the scale
    of a Laplace distribution, pixels."""
    inliers: Bool[np.ndarray, "A N"]
    """Which cells agree with similarity and displacement."""

    @property
    def num_inliers(self) -> Int[np.ndarray, " A"]:
        """Return how many cells agree with each hypothesis."""
        return self.inliers.sum(axis=-1)


def rotations(angles: Float[np.ndarray, " A"], side: int) -> Float[np.ndarray, "A 2 3"]:
    """Return the rotations by ``angles``, degrees, about the middle of frames of this side."""
    middle = (side - 1) / 2
    return similarity(angles, (middle, middle))


def turned_and_scaled(
    laid: Float[np.ndarray, "2 3"], scales: tuple[float, ...], turns: tuple[float, ...], side: int
) -> Float[np.ndarray, "A 2 3"]:
    """Return a transform combined with each scale and each rotation but 1 and 0°, about the middle
    of frame 0; rotations in degrees, frames of this side in pixels."""
    middle = ((side - 1) / 2,) * 2
    others = [(scale, turn) for scale in scales for turn in turns if (scale, turn) != (1, 0)]
    scale, turn = np.array(others, float).T
    return compose(laid, similarity(turn, middle, scale))


def joined(first: Hypotheses, second: Hypotheses) -> Hypotheses:
    """Return the hypotheses of both in one record."""
    return Hypotheses(*(np.concatenate(both) for both in zip(first, second, strict=True)))


def most_confident(found: Hypotheses, count: int | None = None) -> Hypotheses:
    """Return the ``count`` most confident hypotheses, or all, the best first.

    They are compared by the summed confidence of their inliers, not by the number of these: at a
    wrong angle many weak matches can agree.
    """
    sums = [values[who].sum() for values, who in zip(found.confidence, found.inliers, strict=True)]
    order = np.argsort(-np.array(sums, float), kind="stable")[:count]
    return Hypotheses(*(array[order] for array in found))


def better(before: Hypotheses, after: Hypotheses) -> Hypotheses:
    """Return, for each hypothesis, the one that more cells agree with: ``before`` or ``after``."""
    improved = after.num_inliers >= np.maximum(before.num_inliers, 3)

    def one(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return np.where(improved.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    return Hypotheses(*map(one, before, after))
