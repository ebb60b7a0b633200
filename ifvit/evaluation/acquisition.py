"""Failures to acquire, kept apart from errors of comparison.

A print that cannot be processed gives no score: it says nothing of how well scores tell fingers
apart. Source: ISO/IEC 19795-1, failure-to-acquire rate (FTA), false non-match rate (FNMR, of
comparisons that were made) and false rejection rate (FRR, of all that were wanted).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ifvit.evaluation.scores import ScoreRow


class Acquisition(NamedTuple):
    """How many of the prints, and of the genuine comparisons, could not be processed."""

    prints: int
    failed_prints: int
    genuine: int
    failed_genuine: int

    @property
    def fta(self) -> float:
        """Return the failure-to-acquire rate: the share of prints that could not be processed."""
        return self.failed_prints / self.prints if self.prints else 0.0

    def frr(self, fnmr: float) -> float:
        """Return the false rejection rate at the threshold that has this FNMR.

        A genuine comparison is rejected if one of its prints could not be processed, or if its
        score is too low.
        """
        lost = self.failed_genuine / self.genuine if self.genuine else 0.0
        return lost + (1 - lost) * fnmr


def compared(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """Return the comparisons that were made: those whose prints could both be processed."""
    return [row for row in rows if row.status != "failed"]


def acquisition(rows: Sequence[ScoreRow]) -> Acquisition:
    """Count what could not be processed: prints without any comparison that was made."""
    made = {name for row in compared(rows) for name in (row.name0, row.name1)}
    named = {name for row in rows for name in (row.name0, row.name1)}
    genuine = [row for row in rows if row.label]
    failed = len(genuine) - len(compared(genuine))
    return Acquisition(len(named), len(named - made), len(genuine), failed)
