"""Open-set rates: how often somebody who is not in the gallery is taken for somebody who is.

A search in a gallery of N prints is N comparisons. If each is a false match with the probability
FMR, and independently, the false positive identification rate (ISO/IEC 19795-1) is
1 - (1 - FMR)^N. This is an upper bound for a search that drops prints on the way to pair mode.

n impostor scores calibrate FMRs down to 1 / (n + 1); a gallery of some hundred prints needs lower
ones. There it takes the upper end of the interval that is extrapolated from the tail of the scores
(:mod:`ifvit.comparison.tail`), and marks these rates as extrapolated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ifvit.comparison.decision import Decision

DOUBT = 1e-6
"""FPIR up to which a candidate counts as beyond doubt."""


@dataclass(frozen=True)
class Rate:
    """A rate, and whether it is extrapolated from the tail rather than counted."""

    value: float
    extrapolated: bool


def check_rate(called: str, rate: float) -> None:
    """Raise ValueError for a rate outside (0, 1); ``called`` names it in the error."""
    if not 0 < rate < 1:
        raise ValueError(f"{called} {rate:g}: expected a rate between 0 and 1, such as 0.001")


def fpir_of(fmr: float, size: int) -> float:
    """Return the false positive identification rate of a gallery of ``size`` prints."""
    return 1.0 if fmr >= 1 else -math.expm1(size * math.log1p(-fmr))


def fmr_for(fpir: float, size: int) -> float:
    """Return the false match rate of one comparison at which a gallery has this FPIR."""
    check_rate("an FPIR of", fpir)
    return -math.expm1(math.log1p(-fpir) / max(size, 1))


class OpenSet:
    """The rates of a gallery, by the impostor scores of a decision."""

    def __init__(self, decision: Decision) -> None:
        """Take a decision; if it is not calibrated, no rate is known."""
        self.decision = decision

    @property
    def calibrated(self) -> bool:
        """Return whether any rate is known."""
        return self.decision.impostor is not None

    def fmr(self, score: float) -> Rate | None:
        """Return the FMR of accepting this score in one comparison, or None if nothing is known."""
        counted, beyond = self.decision.fmr(score), self.decision.beyond(score)
        if beyond is not None:
            return Rate(beyond.high, True)
        return None if counted is None else Rate(counted, False)

    def fpir(self, score: float, size: int) -> Rate | None:
        """Return the FPIR of accepting this score in a gallery of ``size`` prints."""
        found = self.fmr(score)
        return None if found is None else Rate(fpir_of(found.value, size), found.extrapolated)

    def beyond_doubt(self, score: float, size: int) -> bool:
        """Return whether a score is beyond doubt in a gallery of ``size`` prints."""
        rate = self.fpir(score, size)
        return rate is not None and rate.value <= DOUBT

    def threshold(self, fpir: float, size: int) -> Rate | None:
        """Return the lowest score that is accepted at an FPIR, in a gallery of ``size`` prints.

        It is None where no rate is known. Raises ValueError for a rate outside (0, 1), and where
        the tail has too few scores to extrapolate so far.
        """
        fmr = fmr_for(fpir, size)
        if not self.calibrated:
            return None
        tail = self.decision.tail
        if fmr >= tail.floor or not tail.known:
            return Rate(self.decision.threshold(fmr), False)
        highest = self.decision.threshold(tail.floor)
        return Rate(max(highest, tail.threshold(fmr)), True)
