"""Scale and canvas of a pair, and prints drawn by them: every pixel where the map says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from ifvit.config import ModelConfig
from ifvit.features.features import Features, features_of, read_features
from ifvit.features.fit import FIT_CONFIG, Fit, canvas_side, drawn_at, fit_of, scale_of
from ifvit.features.period import RidgePeriod
from ifvit.presets import SMALL_MODEL
from ifvit.registration.aligner import Aligner

SPOT = (141.3, 126.0)
"""(x, y), on a ridge's crest, so that the ridge is as dark to both sides of it."""


def blob(shape: tuple[int, int], centre: tuple[float, float], ppi: float = 500) -> np.ndarray:
    """Return ridges of 9 px at 500 ppi with one dark spot at ``centre`` (x, y), both at 500 ppi."""
    k = ppi / 500
    y, x = (np.indices([round(side * k) for side in shape]) + 0.5) / k - 0.5
    ridges = 0.7 + 0.2 * np.cos(2 * np.pi * y / 9)
    spot = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 3.0**2))
    return (ridges * (1 - spot)).astype(np.float32)


@pytest.mark.parametrize("period", np.linspace(4.5, 14, 20))
def test_ridges_come_near_to_the_period_that_is_known(period: float) -> None:
    scale = scale_of(period)
    assert 1 <= scale <= FIT_CONFIG.step**FIT_CONFIG.finest
    half = math.sqrt(FIT_CONFIG.step)
    if 1 < scale < FIT_CONFIG.step**FIT_CONFIG.finest:
        assert 1 / half <= scale * period / FIT_CONFIG.period_px <= half
    if scale == 1:
        assert period >= FIT_CONFIG.period_px / half


def test_an_unknown_period_changes_nothing() -> None:
    assert scale_of(math.nan) == 1.0
    assert fit_of([RidgePeriod(math.nan, 0)] * 2, 100.0, SMALL_MODEL).scale == 1.0


def test_the_canvas_is_the_first_that_both_prints_fit_in() -> None:
    sides = [canvas_side(size, SMALL_MODEL) for size in FIT_CONFIG.sizes]
    assert sides == sorted(sides) and sides[0] == SMALL_MODEL.canvas
    ordinary, fine = RidgePeriod(9.5, 9), RidgePeriod(9.5 / 1.44, 9)
    for reach in (50.0, 159.0, 161.0, 220.0, 900.0):
        for period, scale in ((ordinary, 1.0), (fine, 1.2**2)):
            fit = fit_of([period, period], reach, SMALL_MODEL)
            assert fit.scale == pytest.approx(scale) and fit.side == 2 * fit.canvas
            smaller = [side for side in sides if 2 * side < 2 * reach * scale]
            assert fit.canvas == sides[min(len(smaller), len(sides) - 1)]


def test_all_of_a_large_print_is_drawn_for_a_small_one(engine_of) -> None:
    """A window may lie at the very end of the print that it is of."""
    aligner = Aligner(engine_of(0))
    aligner.extractor.config = SMALL_MODEL  # how prints are drawn is asked, and no network
    large = features_of(blob((460, 360), (100.0, 150.0)))
    window = features_of(large.image[:160, :160])
    assert large.reach_px < large.extent_px < 230
    alone, both = aligner.extractor.fit(large, large), aligner.extractor.fit(large, window)
    assert 2 * large.reach_px <= alone.side < 2 * large.extent_px <= both.side
    assert aligner.extractor.fit(window, large) == both


def spot_in(frame: np.ndarray) -> np.ndarray:
    """Return the (x, y) of the darkest spot, to a fraction of a pixel, by its centre of mass."""
    y, x = np.unravel_index(int(frame.argmin()), frame.shape)
    reach = 5
    part = np.clip(0.45 - frame[y - reach : y + reach + 1, x - reach : x + reach + 1], 0, None)
    dy, dx = np.indices(part.shape) - reach
    return np.array([x + (dx * part).sum() / part.sum(), y + (dy * part).sum() / part.sum()])


@pytest.mark.parametrize("scale", [1.0, 1.2, 1.2**2, 1.2**3])
@pytest.mark.parametrize("ppi", [250, 500, 569, 1000])
def test_a_frame_shows_the_print_where_its_map_says(scale: float, ppi: float) -> None:
    item = features_of(blob((300, 260), SPOT, ppi), ppi)
    fit = drawn_at(scale, SMALL_MODEL.canvas, SMALL_MODEL)
    frame = item.drawn(fit)
    assert frame.shape == (fit.side, fit.side) and 0 <= frame.min() <= frame.max() <= 1
    found = item.placed(fit).on_print(spot_in(frame))
    np.testing.assert_allclose(found, SPOT, atol=0.35)
    matrix = item.placed(fit).matrix
    point = np.array([17.0, 200.0])
    np.testing.assert_allclose(
        matrix[:, :2] @ point + matrix[:, 2], item.placed(fit).on_print(point)
    )


def test_what_a_frame_leaves_out_is_told() -> None:
    item = features_of(blob((700, 300), (150, 350)))
    for fit, share in ((Fit(1.0, 400, 800), 0.0), (Fit(2.0, 350, 700), 0.5)):
        seen = item.placed(fit).on_print(np.array([[0, 0], [fit.side, fit.side]]) - 0.5)
        assert item.left_out(seen) == pytest.approx(share, abs=0.02)


def test_a_print_is_the_same_from_a_file(tmp_path, ridge_print) -> None:
    grey = np.round(ridge_print * 255).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    there, here = read_features(tmp_path / "a.png"), features_of(grey / np.float32(255))
    assert isinstance(there, Features) and there.digest == here.digest
    assert there.middle == here.middle and there.period == here.period
    Image.fromarray(np.full((300, 260), 255, np.uint8)).save(tmp_path / "blank.png")
    with pytest.raises(ValueError, match=r"no fingerprint found in .*blank\.png"):
        read_features(tmp_path / "blank.png")


def test_a_small_model_scales_its_canvases_too(small: ModelConfig) -> None:
    assert canvas_side(1.0, small) == small.canvas
    assert canvas_side(1.4, small) % 32 == 0
