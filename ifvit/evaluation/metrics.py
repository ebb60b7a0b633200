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


def error_curve(genuine: ArrayLike, impostor: ArrayLike) -> Curve:
    """Return FMR and FNMR at every distinct score, ties taken together.

    ``genuine`` and ``impostor`` are similarity scores, -inf for failed comparisons. Raises
    ValueError when either is empty or holds a NaN. Source: ISO/IEC 19795-1, clause on error rates.
    """
    gen, imp = (np.sort(scores) for scores in _scores(genuine, impostor))
    distinct = np.unique(np.concatenate([gen, imp]))[::-1]
    thresholds = np.concatenate([[np.inf], distinct])
    fmr = 1.0 - np.searchsorted(imp, thresholds, side="left") / imp.size
    fnmr = np.searchsorted(gen, thresholds, side="left") / gen.size
    # A score may itself be +inf; the strictest threshold then lies above it and accepts nothing.
    fmr[0], fnmr[0] = 0.0, 1.0
    return Curve(thresholds, fmr, fnmr)


def auc(genuine: ArrayLike, impostor: ArrayLike) -> float:
    """Return the area under the ROC curve: P(genuine > impostor) + P(tie) / 2.

    The Mann-Whitney form, exact with ties. Raises ValueError as :func:`error_curve` does.
    """
    gen, imp = _scores(genuine, impostor)
    imp = np.sort(imp)
    below = np.searchsorted(imp, gen, side="left")
    not_above = np.searchsorted(imp, gen, side="right")
    return float((below + not_above).sum() / (2.0 * gen.size * imp.size))


def eer(genuine: ArrayLike, impostor: ArrayLike) -> float:
    """Return the equal error rate: where the error curve crosses FMR = FNMR.

    Between two points of the curve it is a straight line, as in the ROC whose area :func:`auc` is.
    Raises ValueError as :func:`error_curve` does.
    """
    curve = error_curve(genuine, impostor)
    gap = curve.fmr - curve.fnmr  # from -1 at the strictest threshold up to 1
    after = int(np.argmax(gap >= 0))
    before = after - 1
    share = -gap[before] / (gap[after] - gap[before])
    return float(curve.fmr[before] + share * (curve.fmr[after] - curve.fmr[before]))


def fnmr_at_fmr(genuine: ArrayLike, impostor: ArrayLike, limit: float) -> float:
    """Return the lowest FNMR at a threshold whose FMR is at most ``limit``.

    FMR100 is the one at 0.01, FMR1000 at 0.001 and ZeroFMR at 0. Raises ValueError for a limit
    outside [0, 1], and as :func:`error_curve` does.
    """
    if not 0.0 <= limit <= 1.0:
        raise ValueError(f"FMR limit must lie in [0, 1], not {limit}")
    curve = error_curve(genuine, impostor)
    return float(curve.fnmr[curve.fmr <= limit].min())
