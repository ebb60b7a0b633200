"""How far apart a print's ridges lie: one robust number per print, from its local spectra.

In a small window ridges are nearly a plane wave, so that its spectrum has one strong peak. The
median over windows, each weighted by the share of its power in that peak, is hardly affected by
smudges, text and noise, or by places where the skin was pulled or pressed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float, Shaped

from ifvit.runtime.blas import by_one_thread

WINDOW_PX = 64
"""Side of a window at 500 ppi: it shows five to fifteen ridges, which hardly bend within it."""

COVERED = 0.75
"""Share of a window that must show ridges."""

FINEST_PX, COARSEST_PX = 4.2, 16.0
"""Periods looked for, pixels at 500 ppi: infants' are about 5, the coarsest hands' 13."""

PADDED = 2 * WINDOW_PX
NEAR = 3.0
"""Radius of a peak in bins of the padded spectrum, which is how far the window blurs it."""


class RidgePeriod(NamedTuple):
    """A print's ridge period in pixels at 500 ppi, NaN where no window shows ridges."""

    px: float
    windows: int
    """Number of windows in which the period was found."""


@by_one_thread
def ridge_period(
    image: Float[np.ndarray, "H W"], ridges: Bool[np.ndarray, "H W"], at_once: int = 256
) -> RidgePeriod:
    """Measure the ridge period of a print at 500 ppi where ``ridges`` marks its ridges.

    So many windows are transformed at once, which bounds the memory that a large image takes.
    """
    found = [_peaks(some) for some in _windows(image, ridges, at_once) if len(some)]
    if not found:
        return RidgePeriod(float("nan"), 0)
    frequency, share = map(np.concatenate, zip(*found, strict=True))
    order = np.argsort(frequency)
    # A square lets windows of one clear wave outvote the others.
    weight = np.cumsum(np.square(share[order]))
    middle = order[np.searchsorted(weight, weight[-1] / 2)]
    return RidgePeriod(float(1 / frequency[middle]), len(frequency))


def pooled_period(periods: Sequence[RidgePeriod]) -> float:
    """Return the geometric mean of several prints' periods, weighed by their windows; or NaN."""
    found = [period for period in periods if period.windows]
    if not found:
        return float("nan")
    logs, weights = np.log([p.px for p in found]), [p.windows for p in found]
    return float(np.exp(np.average(logs, weights=weights)))


def _windows(
    image: Float[np.ndarray, "H W"], ridges: Bool[np.ndarray, "H W"], at_once: int
) -> Iterator[Float[np.ndarray, "T S S"]]:
    """Yield the windows that show ridges, half a window apart, of mean 0 and deviation 1."""
    if min(image.shape) < WINDOW_PX:
        return
    rows, columns = np.nonzero(_at_windows(ridges).mean((2, 3)) >= COVERED)
    for first in range(0, len(rows), at_once):
        here = slice(first, first + at_once)
        made = _at_windows(image)[rows[here], columns[here]]
        made = made - made.mean((1, 2), keepdims=True)
        deviation = made.std((1, 2), keepdims=True)
        clear = deviation[:, 0, 0] > 1e-3
        yield np.asarray(made[clear] / deviation[clear], np.float32)


def _at_windows(of: Shaped[np.ndarray, "H W"]) -> Shaped[np.ndarray, "R C S S"]:
    step = WINDOW_PX // 2
    return np.lib.stride_tricks.sliding_window_view(of, (WINDOW_PX, WINDOW_PX))[::step, ::step]


def _wave_numbers() -> tuple[np.ndarray, np.ndarray]:
    """Return the places in a padded spectrum of the frequencies of ridges, down and across.

    Most of such a spectrum is finer, and the half of it that mirrors the other is left out.
    """
    most = int(PADDED / FINEST_PX) + 1
    return np.append(np.arange(most + 1), np.arange(-most, 0)), np.arange(most + 1)


def _spectra(windows: Float[np.ndarray, "T S S"]) -> Complex[np.ndarray, "T F f"]:
    """Return the spectra of windows under Hann's, padded, at :func:`_wave_numbers`.

    So few frequencies of so small windows are two matrix products, a seventh of the time of a
    Fourier transform of all.
    """
    down, across = _transforms()
    rows = windows.reshape(-1, WINDOW_PX) @ np.concatenate([across.real, across.imag]).T
    rows, count = rows.reshape(len(windows), WINDOW_PX, -1), len(across)
    return np.asarray(down @ (rows[..., :count] + 1j * rows[..., count:]))


@lru_cache(maxsize=1)
def _transforms() -> tuple[Complex[np.ndarray, "F S"], Complex[np.ndarray, "f S"]]:
    """Return the matrices by which a window, under Hann's, is transformed down and across."""
    place, hann = np.arange(WINDOW_PX), np.hanning(WINDOW_PX)
    down, across = (
        (hann * np.exp(-2j * np.pi / PADDED * np.outer(numbers, place))).astype(np.complex64)
        for numbers in _wave_numbers()
    )
    return down, across


def _peaks(windows: Float[np.ndarray, "T S S"]) -> tuple[np.ndarray, np.ndarray]:
    """Return each window's strongest frequency (T,), per pixel, and the share of power near it."""
    down, across = _wave_numbers()
    spectrum = _spectra(windows)
    radius = np.hypot(down[:, None], across) / PADDED
    band = (radius > 1 / COARSEST_PX) & (radius < 1 / FINEST_PX)
    power = (np.square(spectrum.real) + np.square(spectrum.imag)) * band
    flat = power.reshape(len(power), -1)
    row, column = np.unravel_index(flat.argmax(axis=1), radius.shape)
    apart = down - down[row][:, None]
    beside = across - column[:, None]
    near = np.square(apart)[:, :, None] + np.square(beside)[:, None, :] <= NEAR**2
    peak = power * near
    total = np.maximum(peak.sum((1, 2)), 1e-12)
    return (peak * radius).sum((1, 2)) / total, total / np.maximum(flat.sum(axis=1), 1e-12)
