"""Rates of a search, by hand: what they are, how they fit together, and when they are a guess."""

from __future__ import annotations

import numpy as np
import pytest

from ifvit.comparison.decision import Decision
from ifvit.gallery.open_set import OpenSet, fmr_for, fpir_of


def rates(count: int = 2000, scale: float = 0.03) -> OpenSet:
    scores = np.random.default_rng(0).exponential(scale, count)
    return OpenSet(Decision().calibrated(scores.tolist(), "settings"))


def test_the_rate_of_a_gallery_is_that_of_all_its_comparisons() -> None:
    assert fpir_of(0.001, 1) == pytest.approx(0.001)
    assert fpir_of(0.01, 100) == pytest.approx(1 - 0.99**100)
    assert fpir_of(1e-9, 1_000_000) == pytest.approx(1e-3, rel=1e-3)
    assert fpir_of(1.0, 5) == 1.0
    for size in (1, 36, 1_000_000):
        assert fpir_of(fmr_for(0.01, size), size) == pytest.approx(0.01)
    for wrong in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match="an FPIR of"):
            fmr_for(wrong, 10)


def test_what_was_measured_is_used_as_far_as_it_goes() -> None:
    found = rates()
    impostor = found.decision.impostor
    middle = float(np.median(impostor))
    assert found.fmr(middle).value == found.decision.fmr(middle)
    assert not found.fmr(middle).extrapolated
    limit = found.threshold(0.05, 1)
    assert not limit.extrapolated and found.fmr(limit.value).value <= 0.05
    beyond = found.fmr(1.0)
    assert beyond.extrapolated and beyond.value < 1 / 2001


@pytest.mark.parametrize("size", [1, 30, 1000, 1_000_000])
def test_thresholds_and_rates_agree(size) -> None:
    found = rates()
    for fpir in (0.1, 0.01, 0.001):
        limit = found.threshold(fpir, size)
        assert found.fpir(limit.value, size).value <= fpir * (1 + 1e-6)
    scores = np.linspace(-1, 1, 400)
    listed = [found.fpir(float(score), size).value for score in scores]
    assert (np.diff(listed) <= 0).all(), "a higher score is never a worse one"


def test_a_gallery_takes_the_upper_end_of_what_the_tail_says() -> None:
    """Of scores whose tail is known: that end holds, and the value is near the truth."""
    truth, above, near = np.exp(-0.4 / 0.03), [], []
    for seed in range(40):
        scores = np.random.default_rng(seed).exponential(0.03, 2000)
        found = OpenSet(Decision().calibrated(scores.tolist(), "settings"))
        above.append(found.fmr(0.4).value >= truth)
        near.append(found.decision.beyond(0.4).value / truth)
    assert np.mean(above) > 0.9 and 0.2 < np.median(near) < 5


def test_few_scores_say_nothing_beyond_themselves() -> None:
    few = rates(count=50)
    assert not few.fmr(1.0).extrapolated and few.fmr(1.0).value == 1 / 51
    with pytest.raises(ValueError, match="no threshold for an FMR"):
        few.threshold(0.001, 1000)
    nothing = OpenSet(Decision())
    assert nothing.threshold(0.01, 5) is None
    with pytest.raises(ValueError, match="an FPIR of 2"):
        nothing.threshold(2.0, 5)
    assert not nothing.calibrated and nothing.fmr(0.5) is None and nothing.fpir(0.5, 3) is None
