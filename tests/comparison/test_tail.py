"""Rates beyond what was counted: tails whose truth is known, SciPy's fits, and what is not said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import genpareto

from ifvit.comparison.decision import Decision
from ifvit.comparison.tail import Tail, fitted, moments


@pytest.mark.parametrize("shape", [-0.3, -0.1, 0.0, 0.2])
def test_the_fit_is_near_that_of_the_highest_likelihood(shape) -> None:
    excess = np.sort(genpareto.rvs(shape, scale=0.03, size=4000, random_state=1))
    own, scale = moments(excess)
    likely, _, likely_scale = genpareto.fit(excess, floc=0)
    assert own == pytest.approx(likely, abs=0.06)
    assert scale == pytest.approx(likely_scale, rel=0.06)


def test_a_tail_that_would_end_is_an_exponential() -> None:
    excess = np.sort(genpareto.rvs(-0.3, scale=0.03, size=4000, random_state=1))
    shape, scale = fitted(excess)
    assert shape == 0 and scale == pytest.approx(excess.mean())


@pytest.mark.parametrize("shape", [0.0, 0.15])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(shape) -> None:
    truth, held = 1e-5, []
    score = float(genpareto.isf(truth, shape, scale=0.03))
    for seed in range(60):
        scores = genpareto.rvs(shape, scale=0.03, size=4000, random_state=seed)
        found = Tail(scores).fmr(score)
        if found is not None:
            held.append(found.low <= truth <= found.high)
            assert found.low <= found.value <= found.high
    assert len(held) > 40 and np.mean(held) >= 0.85


@pytest.mark.parametrize("shape", [-0.2, 0.0, 0.2])
def test_thresholds_are_where_the_upper_end_of_the_interval_is(shape) -> None:
    tail = Tail(genpareto.rvs(shape, scale=0.02, size=5000, random_state=0))
    for fmr in (1e-5, 1e-7, 1e-9):
        found = tail.fmr(tail.threshold(fmr))
        assert found.high == pytest.approx(fmr, rel=1e-6)
        assert tail.fmr(tail.threshold(fmr) - 1e-3).high > fmr


def test_rates_fall_as_scores_rise_and_none_is_zero() -> None:
    tail = Tail(np.random.default_rng(0).normal(0.1, 0.05, 5000))
    found = [tail.fmr(score) for score in np.linspace(0.4, 1.0, 50)]
    values = np.array([one for one in found if one is not None])
    assert len(values) > 40 and (np.diff(values, axis=0) < 0).all() and (values > 0).all()


def test_what_was_counted_stands() -> None:
    """One impostor far above the others is not explained away by their tail."""
    scores = np.append(np.random.default_rng(0).exponential(0.02, 5000), 0.8)
    decision = Decision().calibrated(scores.tolist(), "settings")
    assert decision.beyond(0.7) is None and decision.beyond(0.8) is None
    assert decision.fmr(0.7) == 2 / 5002
    beyond = decision.beyond(0.9)
    assert beyond is not None and beyond.high < decision.fmr(0.9)


@pytest.mark.parametrize("count", [0, 1, 100, 300])
def test_few_scores_say_nothing_beyond_themselves(count) -> None:
    tail = Tail(np.random.default_rng(0).exponential(0.02, count))
    assert not tail.known and tail.fmr(1.0) is None
    with pytest.raises(ValueError, match="too few impostor scores"):
        tail.threshold(1e-6)
