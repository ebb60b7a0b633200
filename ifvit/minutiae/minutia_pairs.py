"""Minutiae of two registered prints, paired one to one where they show the same skin."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ifvit.minutiae.minutiae import Minutiae
from ifvit.registration.alignment import Alignment

WITHIN_PX = 12.0
"""Residual up to which two minutiae are the same: little more than a ridge period."""

WITHIN_RAD = np.pi / 6
"""Difference of directions up to which two minutiae are the same."""

STEP_PX = 4.0
"""Distance, in pixels at 500 ppi, over which a direction is carried through a registration."""


class MinutiaPairs(NamedTuple):
    """P pairs of minutiae, in the order of the minutiae of print 0."""

    index0: Int[np.ndarray, " P"]
    index1: Int[np.ndarray, " P"]
    residual_px: Float[np.ndarray, " P"]
    """Distance of each minutia from where the registration puts its partner: the mean over both
    prints, pixels at 500 ppi."""


def pair_minutiae(minutiae0: Minutiae, minutiae1: Minutiae, alignment: Alignment) -> MinutiaPairs:
    """Pair the minutiae of two prints by their registration, the skin's distortion included.

    Among all ways to pair them one to one, it is the one with the smallest sum of residuals.
    Residuals are measured in both prints, so that swapped prints with the transposed alignment have
    the same pairs. Prints that are not aligned have none. Types may differ: pressure turns an
    ending into a bifurcation.
    """
    if not alignment.ok or not len(minutiae0) or not len(minutiae1):
        return _paired(np.zeros((0, 0)), np.zeros((0, 0)), WITHIN_PX, WITHIN_RAD)
    there = _differences(placed(minutiae0, alignment), minutiae1)
    back = _differences(placed(minutiae1, alignment.transposed()), minutiae0)
    apart, turn = (0.5 * (one + other.T) for one, other in zip(there, back, strict=True))
    return _paired(apart, turn, WITHIN_PX, WITHIN_RAD)


def placed(minutiae: Minutiae, alignment: Alignment) -> Minutiae:
    """Return minutiae of print 0 where print 1 should show them."""
    return minutiae.through(alignment.place, STEP_PX)


def nearest_pairs(
    minutiae0: Minutiae,
    minutiae1: Minutiae,
    within_px: float = WITHIN_PX,
    within_rad: float = WITHIN_RAD,
) -> MinutiaPairs:
    """Pair minutiae of one plane, one to one, so that the sum of their distances is least.

    As many as possible within ``within_px`` pixels and ``within_rad`` radians are paired. Raises
    ValueError where SciPy, which comes with scikit-image, is not installed.
    """
    return _paired(*_differences(minutiae0, minutiae1), within_px, within_rad)


def _differences(
    minutiae0: Minutiae, minutiae1: Minutiae
) -> tuple[Float[np.ndarray, "M N"], Float[np.ndarray, "M N"]]:
    """Return the distances of minutiae of one plane in pixels, and the differences of their
    directions in radians."""
    apart = np.linalg.norm(minutiae0.places[:, None] - minutiae1.places[None], axis=-1)
    turn = minutiae0.directions[:, None] - minutiae1.directions[None]
    return apart, np.abs(np.angle(np.exp(1j * turn)))


def _paired(
    apart: Float[np.ndarray, "M N"],
    turn: Float[np.ndarray, "M N"],
    within_px: float,
    within_rad: float,
) -> MinutiaPairs:
    if not apart.size:
        return MinutiaPairs(np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    same = (apart <= within_px) & (turn <= within_rad)
    # A pair beyond the limits costs more than any number of other pairs can save.
    index0, index1 = _assigned(np.where(same, apart, within_px * (1 + max(apart.shape))))
    kept = same[index0, index1]
    index0, index1 = index0[kept], index1[kept]
    return MinutiaPairs(index0, index1, apart[index0, index1])


def _assigned(cost: Float[np.ndarray, "M N"]) -> tuple[np.ndarray, np.ndarray]:
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ValueError(
            f"pairs of minutiae need SciPy, which cannot be imported ({error}): "
            "pip install 'ifvit[examiner]'"
        ) from error
    index0, index1 = linear_sum_assignment(cost)
    return np.asarray(index0), np.asarray(index1)
