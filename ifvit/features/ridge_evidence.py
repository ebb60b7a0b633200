"""Whether an area of contrast is a print: what ridges of skin do, and noise, text and cloth do not.

Five measures, in pixels at 500 ppi: neighbouring ridges run one way (*coherence*), they still do
over several ridges (*persistence*), their contrast has the period of ridges (*share*), they do not
all run one way (*alignment*), and some of them end or fork (*endings*), as those of gratings and of
rings in wood do not. An ending is where the phase of the pattern turns once around a point; the
phase is that of the monogenic signal (Larkin, Bone and Oldfield, "Natural demodulation of
two-dimensional fringe patterns", JOSA A 18(8), 2001).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Complex, Float

from ifvit.config import REFERENCE_PPI
from ifvit.data.damage import PrintError


class RidgeEvidence(NamedTuple):
    """What speaks for an area's being a print."""

    coherence: float
    """Mean coherence of the gradients, 0 to 1, over a window of some seven ridges."""
    persistence: float
    """That coherence as a share of the one over two ridges."""
    share: float
    """Share of the contrast that has the period of ridges, 0 to 1."""
    alignment: float
    """How far all ridges run one way, 0 to 1: the length of the mean of their doubled angles."""
    endings: float
    """Points per mm² where a ridge ends or forks, at most: :attr:`PrintRule.unseen` are added, so
    that a small area without any says little."""
    area_mm2: float
    period_px: float = float("nan")
    """As it was measured; NaN where no patch of the area is large enough for that."""


class PrintRule(NamedTuple):
    """Limits of the evidence, and how it is measured. They refuse what is no print, and change no
    score: so they are no part of its fingerprint."""

    coherence: float = 0.22
    persistence: float = 0.62
    share: float = 0.36
    share_unmeasured: float = 0.5
    """Limit of the share where no period could be measured, as in the rim of a blot."""
    alignment: float = 0.975
    endings: float = 0.12
    near_px: float = 4.0
    """Standard deviations of the windows of the coherence."""
    far_px: float = 16.0
    local_px: float = 14.0
    """Of the window in which brightness and contrast are made even."""
    coarsest_px: float = 16.0
    finest_px: float = 4.2
    """Periods of ridges."""
    slope_px: float = 40.0
    """Longer waves are uneven light and pressure, of which nothing is to be said."""
    usual_px: float = 9.0
    """Period taken for ridges where none could be measured."""
    octaves: float = 0.45
    """Width of the filter around the period, of whose output the phase is taken: of the logarithm
    of the frequency."""
    least_clear: float = 0.3
    """Coherence below which no phase is looked at."""
    margin_px: int = 12
    """Distance from the border of the area from which on phases are looked at."""
    unseen: float = 3.5
    """Endings that are added to those found."""
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
"""What an image is said to be that fails by a measure."""


def check_print(
    image: Float[np.ndarray, "H W"],
    ridges: Bool[np.ndarray, "H W"],
    period_px: float,
    name: str,
) -> None:
    """Raise ValueError, naming the print, where an image at 500 ppi shows no fingerprint.

    ``ridges`` marks the area of contrast, and ``period_px`` is its ridges' period, or NaN.
    """
    failed = failing(ridge_evidence(image, ridges, period_px))
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
    tensor = _tensor(even)
    near, far = (_smoothed(tensor, sigma) for sigma in (rule.near_px, rule.far_px))
    local, wide = (float(_coherence(one)[area].mean()) for one in (near, far))
    doubled = np.arctan2(far[2], far[1])[area]
    spectrum = np.fft.fft2(even)
    period = rule.usual_px if np.isnan(period_px) else period_px
    return RidgeEvidence(
        coherence=wide,
        persistence=wide / max(local, 1e-6),
        share=_share(spectrum, rule),
        alignment=float(np.abs(np.exp(1j * doubled).mean())),
        endings=_endings(spectrum, area, period, rule),
        area_mm2=_mm2(area),
        period_px=period_px,
    )


def _even(
    image: Float[np.ndarray, "H W"], area: Bool[np.ndarray, "H W"], rule: PrintRule
) -> Float[np.ndarray, "H W"]:
    """Return the area with local mean 0 and deviation near 1, and 0 around it."""
    inside = area.astype(np.float32)
    weight = cv2.GaussianBlur(inside, (0, 0), rule.local_px) + 1e-3
    mean = cv2.GaussianBlur(inside * image, (0, 0), rule.local_px) / weight
    apart = inside * (image - mean)
    deviation = np.sqrt(cv2.GaussianBlur(apart * apart, (0, 0), rule.local_px) / weight)
    # The floor keeps the noise of flat patches from being blown up.
    return np.asarray(np.clip(apart / (deviation + 0.02), -3, 3), np.float32)


def _tensor(image: Float[np.ndarray, "H W"], sigma: float = 1.5) -> Float[np.ndarray, "3 H W"]:
    """Return the structure tensor: energy, and its parts along and across doubled angles."""
    smooth = cv2.GaussianBlur(image, (0, 0), sigma)
    dx, dy = (cv2.Sobel(smooth, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    return np.stack([dx * dx + dy * dy, dx * dx - dy * dy, 2 * dx * dy])


def _smoothed(tensor: Float[np.ndarray, "3 H W"], sigma: float) -> Float[np.ndarray, "3 H W"]:
    return np.stack([cv2.GaussianBlur(part, (0, 0), sigma) for part in tensor])


def _coherence(tensor: Float[np.ndarray, "3 H W"]) -> Float[np.ndarray, "H W"]:
    return np.asarray(np.hypot(tensor[1], tensor[2]) / (tensor[0] + 1e-6))


def _frequencies(shape: tuple[int, ...]) -> Complex[np.ndarray, "H W"]:
    """Return the frequencies of a spectrum, cycles per pixel: x + i y."""
    return np.fft.fftfreq(shape[1])[None] + 1j * np.fft.fftfreq(shape[0])[:, None]


def _share(spectrum: Complex[np.ndarray, "H W"], rule: PrintRule) -> float:
    power, radius = np.square(np.abs(spectrum)), np.abs(_frequencies(spectrum.shape))
    ridges = power[(radius > 1 / rule.coarsest_px) & (radius < 1 / rule.finest_px)].sum()
    return float(ridges / max(power[radius > 1 / rule.slope_px].sum(), 1e-12))


def _endings(
    spectrum: Complex[np.ndarray, "H W"],
    area: Bool[np.ndarray, "H W"],
    period_px: float,
    rule: PrintRule,
) -> float:
    """Return the points per mm² around which the phase of the pattern turns once, at most."""
    frequency = _frequencies(spectrum.shape)
    radius = np.maximum(np.abs(frequency), 1e-6)
    band = np.exp(-0.5 * np.square(np.log(radius * period_px) / rule.octaves))
    wave = np.fft.ifft2(spectrum * band).real
    # The Riesz transform: a wave's quadrature, times the direction across the ridges.
    vector = np.fft.ifft2(spectrum * band * frequency / radius)
    tensor = _smoothed(_tensor(wave.astype(np.float32), 1.0), 1.5 * rule.near_px)
    across = 0.5 * np.arctan2(tensor[2], tensor[1])
    quadrature = np.imag(np.exp(-1j * across) * vector)
    turns = _turns(wave, quadrature, across)
    side = 2 * rule.margin_px + 1
    inner = cv2.erode(area.astype(np.uint8), np.ones((side, side), np.uint8), borderValue=0) > 0
    clear = (inner & (_coherence(tensor) > rule.least_clear))[:-1, :-1]
    found = float((turns & clear).sum()) + rule.unseen
    return found / max(_mm2(clear), 1.0)


def _mm2(area: Bool[np.ndarray, "H W"]) -> float:
    """Return the size of an area at 500 ppi in square millimetres."""
    return float(area.sum()) * (25.4 / REFERENCE_PPI) ** 2


def _turns(
    wave: Float[np.ndarray, "H W"],
    quadrature: Float[np.ndarray, "H W"],
    across: Float[np.ndarray, "H W"],
) -> Bool[np.ndarray, "h w"]:
    """Mark the squares of four pixels around which the phase turns, clockwise or the other way."""

    def corner(of: np.ndarray, row: int, column: int) -> np.ndarray:
        height, width = of.shape
        return of[row : height - 1 + row, column : width - 1 + column]

    phases = []
    for place in ((0, 0), (0, 1), (1, 1), (1, 0)):
        # A direction across ridges has no sign: here that of the first of the four.
        same = np.cos(corner(across, *place) - corner(across, 0, 0)) >= 0
        sign = np.where(same, 1, -1)
        phases.append(np.arctan2(sign * corner(quadrature, *place), corner(wave, *place)))
    steps = np.diff(np.stack([*phases, phases[0]]), axis=0)
    turned = (np.mod(steps + np.pi, 2 * np.pi) - np.pi).sum(axis=0)
    return np.asarray(np.abs(turned) > np.pi)
