"""Whether an area of contrast is a print: how ridges of skin differ from noise, text and cloth.

Five measures, in pixels at 500 ppi, tell them apart: neighbouring ridges run one way
(*coherence*), they still do over several ridges (*persistence*), their contrast has the period of
ridges (*share*), they do not all run one way (*alignment*), and some of them end or fork
(*endings*), as the lines of gratings and of rings in wood do not.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float

from ifvit.config import REFERENCE_PPI
from ifvit.data.damage import PrintError
from ifvit.features.ridge_phase import (
    blurred,
    coherence_of,
    frequencies,
    phase_turns,
    smoothed,
    structure_tensor,
)


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
            "at the resolution that --ppi says"
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


def print_evidence(
    image: Float[np.ndarray, "H W"],
    ridges: Bool[np.ndarray, "H W"],
    period_px: float = float("nan"),
    rule: PrintRule = PRINT_RULE,
) -> RidgeEvidence:
    """Measure an area as a whole, or its clearest part where only that part is a print.

    So a print is found on a background of dirt or noise. Raises as :func:`ridge_evidence` does.
    """
    whole = ridge_evidence(image, ridges, period_px, rule)
    if failing(whole, rule) is None:
        return whole
    part = _clearest(image, ridges, rule)
    if part is None:
        return whole
    found = ridge_evidence(image, part, period_px, rule)
    # The lower limits for fragments are for small areas, not for small parts of large ones.
    return whole if failing(found._replace(area_mm2=whole.area_mm2), rule) else found


def _clearest(
    image: Float[np.ndarray, "H W"], ridges: Bool[np.ndarray, "H W"], rule: PrintRule
) -> Bool[np.ndarray, "H W"] | None:
    """Return the largest part whose lines keep their direction; None where it is smaller than
    :attr:`PrintRule.clear_mm2`."""
    far = smoothed(structure_tensor(_even(image, ridges, rule)), rule.far_px)
    clear = (ridges & (coherence_of(far) > rule.clear)).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(clear, connectivity=4)
    sizes = stats[1:, cv2.CC_STAT_AREA]
    if not sizes.size:
        return None
    part = labels == 1 + int(sizes.argmax())
    return part if mm2_of(part) >= rule.clear_mm2 else None


def ridge_evidence(
    image: Float[np.ndarray, "H W"],
    ridges: Bool[np.ndarray, "H W"],
    period_px: float = float("nan"),
    rule: PrintRule = PRINT_RULE,
) -> RidgeEvidence:
    """Measure an area of an image at 500 ppi; raises ValueError where the area is empty."""
    if not ridges.any():
        raise ValueError("no pixel of the image is marked: expected an area to be measured")
    x, y, width, height = cv2.boundingRect(ridges.astype(np.uint8))
    area = ridges[y : y + height, x : x + width]
    even = _even(image[y : y + height, x : x + width], area, rule)
    tensor = structure_tensor(even)
    near, far = (smoothed(tensor, sigma) for sigma in (rule.near_px, rule.far_px))
    local, wide = (float(coherence_of(one)[area].mean()) for one in (near, far))
    doubled = (far[1] + 1j * far[2])[area]
    period = rule.usual_px if np.isnan(period_px) else period_px
    return RidgeEvidence(
        coherence=wide,
        persistence=wide / max(local, 1e-6),
        share=_share(even, rule),
        alignment=float(np.abs((doubled / np.maximum(np.abs(doubled), 1e-12)).mean())),
        endings=_endings(even, area, period, rule),
        area_mm2=mm2_of(area),
        period_px=period_px,
    )


def _even(
    image: Float[np.ndarray, "H W"], area: Bool[np.ndarray, "H W"], rule: PrintRule
) -> Float[np.ndarray, "H W"]:
    """Return the area with local mean 0 and deviation near 1, and 0 around it."""
    inside = area.astype(np.float32)
    weight = blurred(inside, rule.local_px) + 1e-3
    mean = blurred(inside * image, rule.local_px) / weight
    apart = inside * (image - mean)
    deviation = np.sqrt(blurred(apart * apart, rule.local_px) / weight)
    # The floor keeps the noise of flat patches from being amplified.
    return np.asarray(np.clip(apart / (deviation + 0.02), -3, 3), np.float32)


def _share(even: Float[np.ndarray, "H W"], rule: PrintRule) -> float:
    power, radius = np.square(np.abs(np.fft.rfft2(even))), np.abs(frequencies(even.shape))
    # All but the ends of its rows stand for themselves and for their mirror image.
    power[:, 1 : (even.shape[1] + 1) // 2] *= 2
    ridges = power[(radius > 1 / rule.coarsest_px) & (radius < 1 / rule.finest_px)].sum()
    return float(ridges / max(power[radius > 1 / rule.slope_px].sum(), 1e-12))


def _endings(
    even: Float[np.ndarray, "H W"],
    area: Bool[np.ndarray, "H W"],
    period_px: float,
    rule: PrintRule,
) -> float:
    """Return an upper bound of the points per mm² around which the phase of the pattern turns
    once."""
    factor = 2 if period_px >= rule.halved_px else 1
    height, width = (side // factor for side in even.shape)
    even, inside = (
        cv2.resize(
            np.asarray(of[: height * factor, : width * factor], np.float32),
            (width, height),
            interpolation=cv2.INTER_AREA,
        )
        for of in (even, area)
    )
    turns, clearness = phase_turns(
        even, period_px / factor, rule.octaves, 1.5 * rule.near_px / factor
    )
    side = 2 * (rule.margin_px // factor) + 1
    shown = (inside > 0.5).astype(np.uint8)
    inner = cv2.erode(shown, np.ones((side, side), np.uint8), borderValue=0) > 0
    clear = (inner & (clearness > rule.least_clear))[:-1, :-1]
    found = float((turns & clear).sum()) + rule.unseen
    return found / max(factor**2 * mm2_of(clear), 1.0)


def mm2_of(area: Bool[np.ndarray, "H W"]) -> float:
    """Return the size of an area at 500 ppi in square millimetres."""
    return float(area.sum()) * (25.4 / REFERENCE_PPI) ** 2
