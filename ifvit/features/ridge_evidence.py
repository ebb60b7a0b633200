"""Whether an area of contrast is a print: how ridges of skin differ from noise, text and cloth.

Five measures, in pixels at 500 ppi, tell them apart: neighbouring ridges run one way
(*coherence*), they still do over several ridges (*persistence*), their contrast has the period of
ridges (*share*), they do not all run one way (*alignment*), and some of them end or fork
(*endings*), as the lines of gratings and of rings in wood do not.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float

from ifvit.config import REFERENCE_PPI
from ifvit.features.print_rule import PRINT_RULE, PrintRule, RidgeEvidence, failing
from ifvit.features.ridge_phase import (
    blurred,
    coherence_of,
    frequencies,
    phase_turns,
    smoothed,
    structure_tensor,
)


def print_evidence(
    image: Float[np.ndarray, "H W"],
    ridges: Bool[np.ndarray, "H W"],
    period_px: float = float("nan"),
    rule: PrintRule = PRINT_RULE,
) -> RidgeEvidence:
    """Measure an area as a whole, or its clearest part where only that part is a print.

    So a print is found on a background of dirt or noise. Of an image that is larger than any
    finger, the part that shows most is measured. Raises as :func:`ridge_evidence` does.
    """
    image, ridges = _fullest(image, ridges, rule.widest_px)
    whole = ridge_evidence(image, ridges, period_px, rule)
    if failing(whole, rule) is None:
        return whole
    part = _clearest(image, ridges, rule)
    if part is None:
        return whole
    found = ridge_evidence(image, part, period_px, rule)
    # The lower limits for fragments are for small areas, not for small parts of large ones.
    return whole if failing(found._replace(area_mm2=whole.area_mm2), rule) else found


def _fullest(
    image: Float[np.ndarray, "H W"], ridges: Bool[np.ndarray, "H W"], side: int
) -> tuple[Float[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Return the square of this side that shows most ridges, of squares half a side apart; what is
    no larger is returned whole, and of a larger image ridges that are no larger."""
    if max(ridges.shape) <= side or not ridges.any():
        return image, ridges
    x, y, width, height = cv2.boundingRect(ridges.astype(np.uint8))
    image, ridges = (of[y : y + height, x : x + width] for of in (image, ridges))
    rows, columns = (
        range(0, max(length - side, 0) + side // 2, side // 2) for length in ridges.shape
    )
    parts = [np.s_[y : y + side, x : x + side] for y in rows for x in columns]
    best = max(parts, key=lambda part: np.count_nonzero(ridges[part]))
    return image[best], ridges[best]


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
