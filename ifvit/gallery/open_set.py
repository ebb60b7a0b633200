"""Open-set rates: how often somebody who is not in the gallery is taken for somebody who is.

A search in a gallery of N prints is N comparisons. If each is wrong at the false match rate FMR,
and independently, the false positive identification rate (ISO/IEC 19795-1) is 1 - (1 - FMR)^N. It
is an upper bound of what a search does that drops prints on the way to pair mode.

Impostor scores calibrate FMRs down to 1 / (n + 1), which a gallery of some hundred prints is
beyond. Below it a gallery takes the upper end of what the continued tail says
(:mod:`ifvit.comparison.tail`): rates that rest on it say so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ifvit.comparison.decision import Decision

DOUBT = 1e-6
"""FPIR at which a candidate is beyond doubt."""


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
        tail = self.decision.tail
        if fmr >= tail.floor or not tail.known:
            return Rate(self.decision.threshold(fmr), False)
        highest = self.decision.threshold(tail.floor)
        return Rate(max(highest, tail.threshold(fmr)), True)
