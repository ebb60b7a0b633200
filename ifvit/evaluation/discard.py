"""The worth of a quality measure: errors that remain when the worst prints are discarded.

The error-versus-discard characteristic of ISO/IEC 29794-1: at a fixed threshold comparisons are
discarded in the order of their quality, which is that of the worse of both prints. A measure
without information leaves the error rate as it was; one that predicts errors removes them first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

START = 0.1
"""FNMR at which a curve starts; the threshold is chosen for it, so that there are enough errors."""

MOST = 0.2
"""Share of discarded comparisons up to which curves are compared, since nobody discards more."""


class DiscardCurve(NamedTuple):
    """FNMR over the share of genuine comparisons that were discarded, starting at none."""

    discarded: Float[np.ndarray, " G"]
    fnmr: Float[np.ndarray, " G"]

    def at(self, share: float) -> float:
        """Return the FNMR when this share of the comparisons is discarded."""
        return float(self.fnmr[np.searchsorted(self.discarded, share, side="right") - 1])

    def gain(self, most: float = MOST) -> float:
        """Return the share of the possible decrease that is reached, up to ``most`` discarded.

        It is the area between the curve and its start, relative to that of the best possible order:
        1 where errors are discarded first, 0 where quality is uninformative, negative where it
        misleads, and NaN where there is no error.
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
    """Return the FNMR of genuine scores at a threshold as those of lowest quality are discarded.

    ``genuine`` are scores, -inf for comparisons that failed, and ``quality`` the quality of the
    worse print of each. If not given, ``threshold`` is the one at which the share :data:`START`
    fails, at least one comparison. Comparisons of equal quality each count with the mean of their
    errors. Raises ValueError without scores, for unequal numbers, or for a quality of NaN.
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
    # From the last discarded to the first: the errors that remain at each step.
    ordered = mean[group[np.argsort(worse, kind="stable")]]
    left = np.cumsum(ordered[::-1])[::-1]
    count = np.arange(scores.size)
    return DiscardCurve(count / scores.size, left / (scores.size - count))
