"""How much a figure would vary with other fingers: bootstrap intervals, by finger.

Comparisons of one finger are correlated, so fingers are resampled with replacement, each with all
its comparisons: a genuine comparison counts as often as its finger was drawn, an impostor
comparison as often as the product of both (the subset bootstrap of Bolle, Ratha and Pankanti,
"Error analysis of pattern recognition systems - the subsets bootstrap", CVIU 93(1), 2004).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ifvit.evaluation.metrics import Curve, curve_auc, curve_eer, curve_fnmr_at_fmr, error_curve


class Estimate(NamedTuple):
    """A figure and the interval that holds it with 95 % confidence, both as shares."""

    value: float
    low: float
    high: float


FIGURES: dict[str, Callable[[Curve], float]] = {
    "EER": curve_eer,
    "FMR100": lambda curve: curve_fnmr_at_fmr(curve, 1e-2),
    "FMR1000": lambda curve: curve_fnmr_at_fmr(curve, 1e-3),
    "ZeroFMR": lambda curve: curve_fnmr_at_fmr(curve, 0.0),
    "AUC": curve_auc,
}
"""The field's figures (ISO/IEC 19795-1 and the FVC reports), each a function of the error curve."""

SAMPLES = 1000
INTERVAL = (2.5, 97.5)
"""Percentiles of the samples that bound the interval."""


def estimates(
    scores: ArrayLike,
    labels: ArrayLike,
    fingers0: Sequence[str],
    fingers1: Sequence[str],
    fnmr_at: Sequence[float] = (),
    *,
    samples: int = SAMPLES,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Return each figure with its interval, and FNMR at each FMR of ``fnmr_at``.

    All four lists have one entry for each comparison: its score (-inf for a failed one), 1 for
    genuine and 0 for impostor, and the two fingers. Raises ValueError as ``metrics.error_curve``.
    """
    values, genuine = np.asarray(scores, float), np.asarray(labels, int) == 1
    figures = dict(FIGURES)
    for limit in fnmr_at:
        figures[f"FNMR at FMR {100 * limit:g} %"] = _at(limit)
    curve = error_curve(values[genuine], values[~genuine])
    found = {name: figure(curve) for name, figure in figures.items()}
    drawn: dict[str, list[float]] = {name: [] for name in figures}
    for weight in _weights(fingers0, fingers1, genuine, samples, seed):
        if not weight[genuine].any() or not weight[~genuine].any():
            continue  # one finger drawn every time: no impostor to compare it with
        again = error_curve(values[genuine], values[~genuine], weight[genuine], weight[~genuine])
        for name, figure in figures.items():
            drawn[name].append(figure(again))
    limits = {
        name: np.percentile(many, INTERVAL) if many else (np.nan, np.nan)
        for name, many in drawn.items()
    }
    return {name: Estimate(found[name], *map(float, limits[name])) for name in figures}


def _at(limit: float) -> Callable[[Curve], float]:
    return lambda curve: curve_fnmr_at_fmr(curve, limit)


def _weights(
    fingers0: Sequence[str],
    fingers1: Sequence[str],
    genuine: np.ndarray,
    samples: int,
    seed: int,
) -> Iterator[np.ndarray]:
    """Yield the comparisons' weights of each bootstrap sample."""
    names, index = np.unique([*fingers0, *fingers1], return_inverse=True)
    first, second = np.split(index, 2)
    rng = np.random.default_rng(seed)
    for _ in range(samples):
        count = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        yield np.where(genuine, count[first], count[first] * count[second]).astype(float)
