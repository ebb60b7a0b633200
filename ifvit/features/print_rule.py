"""Which evidence makes an area of contrast a print: its measures, their limits, and the refusal.

The measures are made in :mod:`ifvit.features.ridge_evidence`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ifvit.data.damage import PrintError


class RidgeEvidence(NamedTuple):
    """Measures of whether an area of an image is a print."""

    coherence: float
    """Mean coherence of the gradients, 0 to 1, over a window of some seven ridges."""
    persistence: float
    """``coherence`` as a share of the same over a window of two ridges."""
    share: float
    """Share of the contrast that has the period of ridges, 0 to 1."""
    alignment: float
    """How far all ridges run one way, 0 to 1: the length of the mean of their doubled angles."""
    endings: float
    """Upper bound of the points per mm² where a ridge ends or forks: :attr:`PrintRule.unseen` are
    added to their number, so that a small area without any is not refused for that."""
    area_mm2: float
    period_px: float = float("nan")
    """The ridge period as measured; NaN where no patch of the area is large enough for that."""


class PrintRule(NamedTuple):
    """Limits of the evidence, and how it is measured. They refuse images that are no prints, and
    affect no score, so they are no part of the fingerprint of settings."""

    coherence: float = 0.22
    persistence: float = 0.62
    share: float = 0.36
    share_unmeasured: float = 0.5
    """Limit of ``share`` where no period could be measured, as in the rim of a blot."""
    alignment: float = 0.975
    endings: float = 0.12
    near_px: float = 4.0
    """Standard deviation of the smaller window of the coherence."""
    far_px: float = 16.0
    """Standard deviation of its larger window."""
    local_px: float = 14.0
    """Standard deviation of the window in which brightness and contrast are made even."""
    coarsest_px: float = 16.0
    """Largest period of ridges."""
    finest_px: float = 4.2
    """Smallest period of ridges."""
    slope_px: float = 40.0
    """Wavelength from which on contrast is uneven light and pressure, and is left out of
    account."""
    usual_px: float = 9.0
    """Ridge period assumed where none could be measured."""
    octaves: float = 0.45
    """Width of the band-pass filter from whose output the phase is taken: the standard deviation
    of the logarithm of the frequency."""
    clear: float = 0.45
    """Coherence from which on a part is examined by itself, where the whole area is no print."""
    clear_mm2: float = 20.0
    """Smallest size of such a part: 4.5 mm each way."""
    least_clear: float = 0.3
    """Coherence below which phases are not counted."""
    margin_px: int = 12
    """Distance from the border of the area from which on phases are counted."""
    halved_px: float = 7.0
    """Period from which on the phase is computed in an image of half the size: this takes a quarter
    of the work and leaves at least three and a half pixels per line."""
    widest_px: int = 1200
    """Side of the part that is measured of a larger image: a finger reaches 50 mm at most, and
    memory grows with the area."""
    unseen: float = 3.5
    """Number that is added to the endings found (:attr:`RidgeEvidence.endings`)."""
    whole_mm2: float = 60.0
    """Area below which the limits of both coherences are lower: a fragment can be all core."""
    straight_mm2: float = 90.0
    """Area below which all ridges may run one way."""


PRINT_RULE = PrintRule()

WORDS = {
    "coherence": "its lines run in all directions",
    "persistence": "its lines keep no direction over several ridges",
    "share": "its pattern has not the period of ridges",
    "alignment": "all its lines run in one direction",
    "endings": "none of its lines ends or forks",
}
"""What the error message says of an image that fails by each measure."""


def check_print(found: RidgeEvidence, name: str) -> None:
    """Raise ValueError, naming the print, where an area of contrast is no fingerprint."""
    failed = failing(found)
    if failed is not None:
        raise PrintError(
            f"no fingerprint found in {name}: {WORDS[failed]}; expected a print with its ridges, "
            "at the resolution that `ppi` (--ppi) says"
        )


def failing(found: RidgeEvidence, rule: PrintRule = PRINT_RULE) -> str | None:
    """Return the measure by which an area is no print, None where it may be one."""
    part = min(1.0, (found.area_mm2 / rule.whole_mm2) ** 0.5)
    share = rule.share_unmeasured if np.isnan(found.period_px) else rule.share
    for name, limit in (
        ("share", share),
        ("coherence", part * rule.coherence),
        ("persistence", part * rule.persistence),
    ):
        if getattr(found, name) < limit:
            return name
    if found.endings < rule.endings:
        return "endings"
    straight = found.alignment > rule.alignment and found.area_mm2 >= rule.straight_mm2
    return "alignment" if straight else None
