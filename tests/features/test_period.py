"""The ridge period of a print: what was drawn is measured, whatever lies over it."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from ifvit.features import period
from ifvit.features.period import PADDED, WINDOW_PX, RidgePeriod, pooled_period, ridge_period


def waves(period: float, angle: float, side: int = 256) -> np.ndarray:
    """Return straight ridges of a period in pixels, ``angle`` radians across the x axis."""
    y, x = np.mgrid[:side, :side]
    phase = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period
    return (0.5 + 0.4 * np.cos(phase)).astype(np.float32)


@pytest.mark.parametrize("period", [5.0, 6.3, 7.5, 9.0, 11.0, 13.0])
@pytest.mark.parametrize("angle", [0.0, 0.7, math.pi / 2])
def test_the_period_that_was_drawn_is_found(period: float, angle: float) -> None:
    found = ridge_period(waves(period, angle), np.ones((256, 256), bool))
    assert found.px == pytest.approx(period, rel=0.03)
    assert found.windows == 49


@pytest.mark.parametrize("seed", range(4))
def test_noise_dots_and_smudges_move_it_little(seed: int) -> None:
    """Dotted ridges, as dry skin leaves them, a third of the print smudged, grain over all."""
    rng = np.random.default_rng(seed)
    period = rng.uniform(6, 12)
    y, x = np.mgrid[:256, :256]
    # Each ridge has its own dots: nothing makes those of one stand beside those of the next.
    phase = rng.uniform(0, 2 * np.pi, 300)[np.round(y / period).astype(int)]
    dots = 0.5 + 0.5 * np.cos(2 * np.pi * x / (1.3 * period) + phase)
    print_ = 1 - dots * (1 - waves(period, math.pi / 2))
    print_[:80] = rng.uniform(0, 0.2)
    noisy = print_ + rng.normal(0, 0.15, print_.shape)
    found = ridge_period(np.clip(noisy, 0, 1).astype(np.float32), np.ones((256, 256), bool))
    assert found.px == pytest.approx(period, rel=0.06)


def test_windows_beside_the_print_have_no_say() -> None:
    image = np.concatenate([waves(7.0, 0.3), waves(12.0, 0.3)], axis=1)
    mask = np.zeros(image.shape, bool)
    mask[:, :256] = True
    assert ridge_period(image, mask).px == pytest.approx(7.0, rel=0.03)


def test_a_large_print_is_measured_by_parts() -> None:
    """To the same period, and in little memory: all windows of 4096 × 4096 pixels take 1 GB."""
    image = np.concatenate([waves(7.0, 0.3), waves(9.0, 0.5), waves(7.2, 0.1)], axis=1)
    everywhere = np.ones(image.shape, bool)
    whole = ridge_period(image, everywhere, at_once=1000)
    assert whole.windows > 140
    for at_once in (1, 50):
        parts = ridge_period(image, everywhere, at_once=at_once)
        assert parts.windows == whole.windows and parts.px == pytest.approx(whole.px, abs=1e-4)


def test_the_memory_of_a_large_print_is_bounded() -> None:
    image = np.tile(waves(6.0, 0.0), (10, 10))
    tracemalloc.start()
    try:
        found = ridge_period(image, np.ones(image.shape, bool))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.windows > 6000 and most < 100e6


def test_spectra_are_those_of_a_fourier_transform() -> None:
    windows = np.random.default_rng(0).normal(size=(5, WINDOW_PX, WINDOW_PX)).astype(np.float32)
    hann = np.hanning(WINDOW_PX)
    whole = np.fft.fft2(windows * np.outer(hann, hann), (PADDED, PADDED))
    down, across = period._wave_numbers()
    expected = whole[:, down[:, None], across]
    np.testing.assert_allclose(period._spectra(windows), expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(40, 300), (128, 128)])
def test_a_print_without_a_window_has_none(shape: tuple[int, int]) -> None:
    found = ridge_period(np.ones(shape, np.float32), np.ones(shape, bool))
    assert math.isnan(found.px) and found.windows == 0


def test_prints_are_pooled_by_their_windows() -> None:
    none = RidgePeriod(math.nan, 0)
    assert math.isnan(pooled_period([none, none])) and math.isnan(pooled_period([]))
    assert pooled_period([RidgePeriod(8.0, 5), none]) == pytest.approx(8.0)
    both = [RidgePeriod(6.0, 1), RidgePeriod(12.0, 3)]
    assert pooled_period(both) == pytest.approx(6.0 ** (1 / 4) * 12.0 ** (3 / 4))
    assert pooled_period(both) == pooled_period(both[::-1])
