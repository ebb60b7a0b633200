"""Error rates of a verification system, by the definitions of ISO/IEC 19795-1.

Scores are similarities: a comparison is accepted when ``score >= threshold``. FMR is the share of
impostor comparisons accepted, FNMR the share of genuine comparisons rejected. A comparison that
could not be made (two prints that cannot be aligned) has the score ``-inf``: it is rejected at
every finite threshold, and so counts in the FNMR.

Plain numpy on purpose: nothing here is differentiated or large, and it must be easy to check.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

ROUNDING = 1e-12
"""1 - 0.99 is a little more than 0.01, and still an FMR of one in a hundred."""


class Curve(NamedTuple):
    """The error trade-off over all thresholds T, strictest first: the data of ROC and DET plots.

    The first point accepts nothing (threshold inf), the last one everything.
    """

    thresholds: Float[np.ndarray, " T"]
    fmr: Float[np.ndarray, " T"]
    fnmr: Float[np.ndarray, " T"]

    @property
    def tar(self) -> Float[np.ndarray, " T"]:
        """True accept rate, the ROC's vertical axis."""
        return 1.0 - self.fnmr


def _scores(genuine: ArrayLike, impostor: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return both score lists as float64 vectors, or raise ValueError."""
    arrays = []
    for name, other, values in (
        ("genuine", "impostor", genuine),
        ("impostor", "genuine", impostor),
    ):
        array = np.asarray(values, dtype=np.float64).ravel()
        if array.size == 0:
            raise ValueError(
                f"no {name} scores: error rates need at least one genuine and one impostor "
                f"comparison; add pairs besides the {other} ones"
            )
        if np.isnan(array).any():
            raise ValueError(
                f"{name} scores hold {np.isnan(array).sum()} NaN: expected numbers, or -inf for a "
                f"comparison that failed"
            )
        arrays.append(array)
    return arrays[0], arrays[1]


def error_curve(
    genuine: ArrayLike,
    impostor: ArrayLike,
    genuine_weight: ArrayLike | None = None,
    impostor_weight: ArrayLike | None = None,
) -> Curve:
    """Return FMR and FNMR at every distinct score, ties taken together.

    ``genuine`` and ``impostor`` are similarity scores, -inf for failed comparisons. The weights, as
    many, count a comparison several times or not at all, as a bootstrap does. Raises ValueError
    when either list is empty, holds a NaN, or weighs nothing. Source: ISO/IEC 19795-1, clause on
    error rates.
    """
    gen, imp = _scores(genuine, impostor)
    distinct = np.unique(np.concatenate([gen, imp]))[::-1]
    thresholds = np.concatenate([[np.inf], distinct])
    fmr = 1.0 - _share_below(imp, impostor_weight, thresholds)
    fnmr = _share_below(gen, genuine_weight, thresholds)
    # A score may itself be +inf; the strictest threshold then lies above it and accepts nothing.
    fmr[0], fnmr[0] = 0.0, 1.0
    return Curve(thresholds, fmr, fnmr)


def _share_below(
    scores: np.ndarray, weight: ArrayLike | None, thresholds: np.ndarray
) -> np.ndarray:
    """Return the share of scores below each threshold."""
    order = np.argsort(scores, kind="stable")
    below = np.searchsorted(scores[order], thresholds, side="left")
    if weight is None:
        return below / scores.size
    total = np.concatenate([[0.0], np.cumsum(np.asarray(weight, np.float64)[order])])
    if total[-1] <= 0:
        raise ValueError("the weights are all 0: expected at least one comparison that counts")
    return total[below] / total[-1]


def curve_auc(curve: Curve) -> float:
    """Return the area under the ROC of a curve: P(genuine > impostor) + P(tie) / 2."""
    # The ROC is a straight line across a tie, so that the trapezoids are exact.
    return float(np.trapezoid(curve.tar, curve.fmr))


def curve_eer(curve: Curve) -> float:
    """Return the equal error rate: where a curve crosses FMR = FNMR.

    Between two points of the curve it is a straight line, as in the ROC of :func:`curve_auc`.
    """
    gap = curve.fmr - curve.fnmr  # from -1 at the strictest threshold up to 1
    after = int(np.argmax(gap >= 0))
    before = after - 1
    share = -gap[before] / (gap[after] - gap[before])
    return float(curve.fmr[before] + share * (curve.fmr[after] - curve.fmr[before]))


def curve_fnmr_at_fmr(curve: Curve, limit: float) -> float:
    """Return a curve's lowest FNMR at a threshold whose FMR is at most ``limit``.

    Raises ValueError for a limit outside [0, 1].
    """
    if not 0.0 <= limit <= 1.0:
        raise ValueError(f"FMR limit must lie in [0, 1], not {limit}")
    return float(curve.fnmr[curve.fmr <= limit + ROUNDING].min())


def auc(genuine: ArrayLike, impostor: ArrayLike) -> float:
    """Return the area under the ROC curve, exact with ties; raises as :func:`error_curve`."""
    return curve_auc(error_curve(genuine, impostor))


def eer(genuine: ArrayLike, impostor: ArrayLike) -> float:
    """Return the equal error rate; raises as :func:`error_curve`."""
    return curve_eer(error_curve(genuine, impostor))


def fnmr_at_fmr(genuine: ArrayLike, impostor: ArrayLike, limit: float) -> float:
    """Return the lowest FNMR at a threshold whose FMR is at most ``limit``.

    FMR100 is the one at 0.01, FMR1000 at 0.001 and ZeroFMR at 0. Raises as :func:`error_curve`
    and :func:`curve_fnmr_at_fmr`.
    """
    return curve_fnmr_at_fmr(error_curve(genuine, impostor), limit)
