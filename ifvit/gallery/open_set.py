"""Open-set rates: how often somebody who is not in the gallery is taken for somebody who is.

A search in a gallery of N prints is N comparisons. If each is wrong at the false match rate FMR,
and independently, the false positive identification rate (ISO/IEC 19795-1) is 1 - (1 - FMR)^N. It
is an upper bound of what a search does that drops prints on the way to pair mode.

Impostor scores calibrate FMRs down to 1 / (n + 1), which a gallery of some hundred prints is
beyond. Below it the tail is continued as an exponential through the highest twentieth of the
scores, its mean at the upper end of its 95 % interval. Tails of scores fall faster, as far as they
can be seen; that they do so further on is an assumption, and rates that rest on it say so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ifvit.comparison.decision import Decision

TAIL = 0.05
"""Share of the impostor scores that the tail is fitted to."""

DOUBT = 1e-6
"""FPIR at which a candidate is beyond doubt."""

FEWEST = 20
"""Scores in the tail: with fewer nothing is said beyond what was measured."""

Z95 = 1.645
"""One-sided 95 % point of the normal distribution."""


@dataclass(frozen=True)
class Rate:
    """A rate, and whether it rests on the continued tail rather than on comparisons."""

    value: float
    extrapolated: bool


def check_rate(called: str, rate: float) -> None:
    """Raise ValueError for what is no rate of errors; ``called`` stands before it in the error."""
    if not 0 < rate < 1:
        raise ValueError(f"{called} {rate:g}: expected a rate between 0 and 1, such as 0.001")


def fpir_of(fmr: float, size: int) -> float:
    """Return the false positive identification rate of a gallery of so many prints."""
    return 1.0 if fmr >= 1 else -math.expm1(size * math.log1p(-fmr))


def fmr_for(fpir: float, size: int) -> float:
    """Return the false match rate of one comparison at which a gallery has this FPIR."""
    check_rate("an FPIR of", fpir)
    return -math.expm1(math.log1p(-fpir) / max(size, 1))


class OpenSet:
    """A decision's impostor scores, and what follows from them for a gallery."""

    def __init__(self, decision: Decision) -> None:
        """Take a decision; of one that is not calibrated no rate is known."""
        self.decision = decision
        impostor = np.zeros(0) if decision.impostor is None else decision.impostor
        self._count = len(impostor)
        self._mean = 0.0
        if self._count:
            self._start = float(np.quantile(impostor, 1 - TAIL))
            beyond = impostor[impostor > self._start] - self._start
            if len(beyond) >= FEWEST:
                # Wilson and Hilferty's bound of a mean of exponentials, by its chi-square.
                dof = 2 * len(beyond)
                low = dof * (1 - 2 / (9 * dof) - Z95 * math.sqrt(2 / (9 * dof))) ** 3
                self._mean = float(beyond.mean()) * dof / low

    @property
    def calibrated(self) -> bool:
        """Return whether any rate is known."""
        return self._count > 0

    def fmr(self, score: float) -> Rate | None:
        """Return the FMR of accepting this score in one comparison, or None if nothing is known."""
        measured = self.decision.fmr(score)
        if measured is None:
            return None
        floor = 1 / (self._count + 1)
        if measured > floor or not self._mean or score < self._start:
            return Rate(measured, False)
        continued = TAIL * math.exp(-(score - self._start) / self._mean)
        return Rate(continued, True) if continued < floor else Rate(floor, False)

    def fpir(self, score: float, size: int) -> Rate | None:
        """Return the FPIR of accepting this score in a gallery of so many prints."""
        found = self.fmr(score)
        return None if found is None else Rate(fpir_of(found.value, size), found.extrapolated)

    def beyond_doubt(self, score: float, size: int) -> bool:
        """Return whether a score leaves no doubt in a gallery of so many prints."""
        rate = self.fpir(score, size)
        return rate is not None and rate.value <= DOUBT

    def threshold(self, fpir: float, size: int) -> Rate | None:
        """Return the lowest score that is accepted at an FPIR, in a gallery of so many prints.

        None where nothing is known. Raises ValueError for what is no rate, and where the tail has
        too few scores to be continued so far.
        """
        fmr = fmr_for(fpir, size)
        if not self.calibrated:
            return None
        floor = 1 / (self._count + 1)
        if fmr >= floor or not self._mean:
            return Rate(self.decision.threshold(fmr), False)
        highest = self.decision.threshold(floor)
        return Rate(max(highest, self._start + self._mean * math.log(TAIL / fmr)), True)
