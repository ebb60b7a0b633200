"""Errors against discarded comparisons, on lists that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ifvit.evaluation.discard import START, discard_curve

SCORES = [0.9, 0.1, 0.8, 0.2, 0.7, -np.inf, 0.6, 0.5]
"""Three of eight below 0.4."""


def test_errors_that_leave_first_are_all_of_the_gain():
    curve = discard_curve(SCORES, [9, 1, 9, 2, 9, 0, 9, 9], 0.4)
    np.testing.assert_allclose(curve.discarded, np.arange(8) / 8)
    np.testing.assert_allclose(curve.fnmr, [3 / 8, 2 / 7, 1 / 6, 0, 0, 0, 0, 0])
    assert curve.gain(0.5) == pytest.approx(1.0)
    assert [curve.at(share) for share in (0, 0.2, 0.25, 0.4)] == [3 / 8, 2 / 7, 1 / 6, 0]


def test_one_quality_for_all_says_nothing():
    curve = discard_curve(SCORES, [5.0] * 8, 0.4)
    np.testing.assert_allclose(curve.fnmr, 3 / 8)
    assert curve.gain() == pytest.approx(0.0)


def test_quality_that_misleads_is_worse_than_none():
    curve = discard_curve(SCORES, [0, 9, 0, 8, 0, 9, 1, 1], 0.4)
    assert curve.gain() < 0 and curve.fnmr[-1] == 1


def test_equal_qualities_leave_in_no_order():
    """The same curve whichever comparison is listed first."""
    quality = np.array([1, 1, 2, 2, 2, 1, 3, 3])
    turned = discard_curve(SCORES[::-1], quality[::-1], 0.4)
    np.testing.assert_allclose(discard_curve(SCORES, quality, 0.4).fnmr, turned.fnmr)


def test_without_a_threshold_a_tenth_fails():
    rng = np.random.default_rng(0)
    assert discard_curve(rng.random(200), rng.random(200)).fnmr[0] == pytest.approx(START)
    assert np.isnan(discard_curve([0.5, 0.6], [1, 2], 0.4).gain())


@pytest.mark.parametrize(
    ("scores", "quality"), [([], []), ([0.5], [1, 2]), ([0.5, 0.6], [1, np.nan])]
)
def test_what_cannot_be_ordered_is_refused(scores, quality):
    with pytest.raises(ValueError, match="expected one quality for each"):
        discard_curve(scores, quality, 0.4)
