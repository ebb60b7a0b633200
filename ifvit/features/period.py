"""How far apart a print's ridges lie: one robust number a print, by its local spectra.

In a small window ridges are nearly a plane wave, so that its spectrum has one strong peak. The
median over windows, each counting by how much of its power is in that peak, is hardly moved by
smudges, text and noise, and by the places where a print was pulled or pressed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

WINDOW_PX = 64
"""Side of a window at 500 ppi: five to fifteen ridges, along which they hardly bend."""

COVERED = 0.75
"""Share of a window that must show ridges."""

FINEST_PX, COARSEST_PX = 4.2, 16.0
"""Periods looked for, pixels at 500 ppi: infants' are about 5, the coarsest hands' 13."""

PADDED = 2 * WINDOW_PX
NEAR = 3.0
"""Radius of a peak in bins of the padded spectrum: the window's own blur."""


class RidgePeriod(NamedTuple):
    """A print's ridge period in pixels at 500 ppi, NaN where no window shows ridges."""

    px: float
    windows: int
    """Windows that it was found in."""


def ridge_period(image: Float[np.ndarray, "H W"], ridges: Bool[np.ndarray, "H W"]) -> RidgePeriod:
    """Measure the ridge period of a print at 500 ppi where ``ridges`` marks its ridges."""
    windows = _windows(image, ridges)
    if not len(windows):
        return RidgePeriod(float("nan"), 0)
    frequency, share = _peaks(windows)
    order = np.argsort(frequency)
    # A square lets windows of one clear wave outvote the others.
    weight = np.cumsum(np.square(share[order]))
    middle = order[np.searchsorted(weight, weight[-1] / 2)]
    return RidgePeriod(float(1 / frequency[middle]), len(windows))


def pooled_period(periods: Sequence[RidgePeriod]) -> float:
    """Return the geometric mean of several prints' periods, weighed by their windows; or NaN."""
    found = [period for period in periods if period.windows]
    if not found:
        return float("nan")
    logs, weights = np.log([p.px for p in found]), [p.windows for p in found]
    return float(np.exp(np.average(logs, weights=weights)))


def _windows(
    image: Float[np.ndarray, "H W"], ridges: Bool[np.ndarray, "H W"]
) -> Float[np.ndarray, "T S S"]:
    """Return the windows that show ridges, half a window apart, of mean 0 and deviation 1."""
    size, step = WINDOW_PX, WINDOW_PX // 2
    made = []
    for y in range(0, image.shape[0] - size + 1, step):
        for x in range(0, image.shape[1] - size + 1, step):
            here = slice(y, y + size), slice(x, x + size)
            window = image[here] - image[here].mean()
            deviation = float(window.std())
            if deviation > 1e-3 and ridges[here].mean() >= COVERED:
                made.append(window / deviation)
    return np.array(made, np.float32).reshape(-1, size, size)


def _peaks(windows: Float[np.ndarray, "T S S"]) -> tuple[np.ndarray, np.ndarray]:
    """Return each window's strongest frequency (T,), per pixel, and the share of power near it."""
    hann = np.hanning(WINDOW_PX).astype(np.float32)
    spectrum = np.fft.rfft2(windows * np.outer(hann, hann), (PADDED, PADDED))
    radius = np.hypot(np.fft.fftfreq(PADDED)[:, None], np.fft.rfftfreq(PADDED))
    band = (radius > 1 / COARSEST_PX) & (radius < 1 / FINEST_PX)
    power = np.square(np.abs(spectrum)) * band
    flat = power.reshape(len(power), -1)
    row, column = np.unravel_index(flat.argmax(axis=1), radius.shape)
    apart = np.arange(PADDED) - row[:, None]
    apart = np.minimum(np.abs(apart), PADDED - np.abs(apart))  # rows wrap around
    across = np.arange(radius.shape[1]) - column[:, None]
    near = np.square(apart)[:, :, None] + np.square(across)[:, None, :] <= NEAR**2
    peak = power * near
    total = np.maximum(peak.sum((1, 2)), 1e-12)
    return (peak * radius).sum((1, 2)) / total, total / np.maximum(flat.sum(axis=1), 1e-12)
