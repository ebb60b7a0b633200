"""What a measure of quality is worth: errors that are left when the worst prints are discarded.

The error-versus-discard characteristic of ISO/IEC 29794-1: the threshold stays, comparisons leave
in the order of their quality, which is that of the worse of both prints. A measure that says
nothing leaves the rate of errors as it was; one that knows each error before removes them first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

START = 0.1
"""FNMR from which a curve starts, by the choice of its threshold: enough errors to be ordered."""

MOST = 0.2
"""Share of discarded comparisons up to which curves are compared: nobody discards more."""


class DiscardCurve(NamedTuple):
    """FNMR over the share of genuine comparisons that were discarded, from none on."""

    discarded: Float[np.ndarray, " G"]
    fnmr: Float[np.ndarray, " G"]

    def at(self, share: float) -> float:
        """Return the FNMR when this share of the comparisons is discarded."""
        return float(self.fnmr[np.searchsorted(self.discarded, share, side="right") - 1])

    def gain(self, most: float = MOST) -> float:
        """Return how much of the possible decrease is reached, up to a share of discarded ones.

        The area between the curve and its start, over that of the best possible order: 1 where
        errors leave first, 0 where the order says nothing, below where it misleads; NaN where there
        is no error.
        """
        errors = round(float(self.fnmr[0]) * len(self.fnmr))
        if not errors:
            return float("nan")
        count = np.arange(len(self.fnmr))
        best = np.maximum(errors - count, 0) / (len(self.fnmr) - count)
        few = self.discarded <= most
        saved, possible = (float((self.fnmr[0] - one[few]).sum()) for one in (self.fnmr, best))
        return saved / possible if possible > 0 else float("nan")


def discard_curve(
    genuine: ArrayLike, quality: ArrayLike, threshold: float | None = None
) -> DiscardCurve:
    """Return the FNMR of genuine scores at a threshold, while those of least quality leave.

    ``genuine`` are scores, -inf for comparisons that failed, and ``quality`` is as many, of the
    worse print of each. Without ``threshold`` it is that at which :data:`START` of all fail, and
    one at least. Comparisons of one quality leave one after the other, each with the mean of their
    errors. Raises ValueError for none, for unequal numbers, or for a quality that is no number.
    """
    scores, worse = (np.asarray(one, float).ravel() for one in (genuine, quality))
    if not scores.size or scores.size != worse.size or np.isnan(worse).any():
        raise ValueError(
            f"{scores.size} scores and {worse.size} qualities, {np.isnan(worse).sum()} of them no "
            "number: expected one quality for each of at least one score"
        )
    if threshold is None:
        failing = min(max(1, int(START * scores.size)), scores.size - 1)
        threshold = float(np.sort(scores)[failing])
    errors = (scores < threshold).astype(float)
    _, group, size = np.unique(worse, return_inverse=True, return_counts=True)
    mean = np.bincount(group, errors) / size
    # From the last to leave to the first: what is left at each step.
    ordered = mean[group[np.argsort(worse, kind="stable")]]
    left = np.cumsum(ordered[::-1])[::-1]
    count = np.arange(scores.size)
    return DiscardCurve(count / scores.size, left / (scores.size - count))
