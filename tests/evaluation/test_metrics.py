import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from ifvit.evaluation.metrics import auc, eer, error_curve, fnmr_at_fmr

# Ten comparisons with two ties across the classes (0.5 and 0.3).
GENUINE = [0.9, 0.7, 0.5, 0.5, 0.3]
IMPOSTOR = [0.6, 0.5, 0.3, 0.3, 0.1]


def test_curve_of_ten_scores_by_hand() -> None:
    curve = error_curve(GENUINE, IMPOSTOR)
    np.testing.assert_array_equal(curve.thresholds, [np.inf, 0.9, 0.7, 0.6, 0.5, 0.3, 0.1])
    np.testing.assert_allclose(curve.fmr, [0, 0, 0, 0.2, 0.4, 0.8, 1], atol=1e-12)
    np.testing.assert_allclose(curve.fnmr, [1, 0.8, 0.6, 0.6, 0.2, 0, 0], atol=1e-12)
    np.testing.assert_allclose(curve.tar, [0, 0.2, 0.4, 0.4, 0.8, 1, 1], atol=1e-12)


def test_auc_and_eer_of_ten_scores_by_hand() -> None:
    # 0.9 and 0.7 beat 5; each 0.5 beats 3 and ties 1; 0.3 beats 1 and ties 2.
    assert auc(GENUINE, IMPOSTOR) == pytest.approx((5 + 5 + 3.5 + 3.5 + 2) / 25)
    # From (FMR 0.2, FNMR 0.6) to (0.4, 0.2): equal two thirds of the way.
    assert eer(GENUINE, IMPOSTOR) == pytest.approx(0.2 + 0.2 * 2 / 3)


def test_fnmr_at_fmr_takes_the_best_threshold_within_the_limit() -> None:
    assert fnmr_at_fmr(GENUINE, IMPOSTOR, 0.0) == pytest.approx(0.6)
    assert fnmr_at_fmr(GENUINE, IMPOSTOR, 0.39) == pytest.approx(0.6)
    assert fnmr_at_fmr(GENUINE, IMPOSTOR, 0.4) == pytest.approx(0.2)
    assert fnmr_at_fmr(GENUINE, IMPOSTOR, 1.0) == 0.0
    with pytest.raises(ValueError, match="FMR limit"):
        fnmr_at_fmr(GENUINE, IMPOSTOR, 1.01)


@pytest.mark.parametrize("decimals", [1, 6])
def test_agrees_with_scikit_learn(decimals: int) -> None:
    rng = np.random.default_rng(0)
    genuine = rng.normal(1.0, 1.0, 173).round(decimals)
    impostor = rng.normal(0.0, 1.0, 311).round(decimals)
    labels = np.r_[np.ones(173), np.zeros(311)]
    scores = np.r_[genuine, impostor]
    fmr, tar, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    curve = error_curve(genuine, impostor)
    np.testing.assert_allclose(curve.fmr, fmr, atol=1e-12)
    np.testing.assert_allclose(curve.tar, tar, atol=1e-12)
    np.testing.assert_allclose(curve.thresholds[1:], thresholds[1:])
    assert auc(genuine, impostor) == pytest.approx(roc_auc_score(labels, scores))
    # The crossing, read off scikit-learn's curve as a function of either axis: where one of them
    # stands still the other is the one to read.
    rate = eer(genuine, impostor)
    across = np.interp(rate, fmr, 1 - tar), np.interp(rate, (1 - tar)[::-1], fmr[::-1])
    assert min(abs(value - rate) for value in across) < 1e-9


def test_perfect_reversed_and_constant_scores() -> None:
    assert (auc([1, 2], [-1, 0]), eer([1, 2], [-1, 0])) == (1.0, 0.0)
    assert (auc([-1, 0], [1, 2]), eer([-1, 0], [1, 2])) == (0.0, 1.0)
    assert (auc([0, 0], [0, 0, 0]), eer([0, 0], [0, 0, 0])) == (0.5, 0.5)


def test_failed_alignments_count_as_false_non_matches() -> None:
    genuine = [0.9, 0.8, -np.inf, -np.inf]
    impostor = [0.1, 0.2, -np.inf, -np.inf]
    curve = error_curve(genuine, impostor)
    finite = np.isfinite(curve.thresholds)
    assert curve.fnmr[finite].min() == 0.5
    assert fnmr_at_fmr(genuine, impostor, 0.0) == 0.5
    assert auc(genuine, impostor) == pytest.approx((4 + 4 + 1 + 1) / 16)
    # The lowest score there is ranks them the same.
    assert auc([0.9, 0.8, -1, -1], [0.1, 0.2, -1, -1]) == auc(genuine, impostor)


def test_infinite_score_is_not_accepted_by_the_strictest_threshold() -> None:
    curve = error_curve([np.inf, 0.5], [0.1])
    assert (curve.fmr[0], curve.fnmr[0]) == (0.0, 1.0)


@pytest.mark.parametrize("metric", [auc, eer, error_curve])
def test_bad_input_is_refused(metric) -> None:
    with pytest.raises(ValueError, match="no impostor scores"):
        metric([0.5, 0.6], [])
    with pytest.raises(ValueError, match="no genuine scores"):
        metric([], [0.5])
    with pytest.raises(ValueError, match="impostor scores hold 1 NaN"):
        metric([0.5], [np.nan, 0.2])


def test_a_weight_counts_a_comparison_several_times_or_not_at_all() -> None:
    genuine, impostor = [0.9, 0.4, 0.7], [0.5, 0.1]
    weighed = error_curve(genuine, impostor, [1, 3, 0], [2, 1])
    repeated = error_curve([0.9, 0.4, 0.4, 0.4], [0.5, 0.5, 0.1])
    kept = np.isin(weighed.thresholds, repeated.thresholds)
    for name in ("thresholds", "fmr", "fnmr"):
        found, wanted = getattr(weighed, name)[kept], getattr(repeated, name)
        np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_weights_that_leave_nothing_are_refused() -> None:
    for weights in ([[0, 0], [1]], [[1, 1], [0]]):
        with pytest.raises(ValueError, match="the weights are all 0"):
            error_curve([0.9, 0.8], [0.1], *weights)
    # However little they come to, it is something; and the lowest score may count for nothing.
    assert error_curve([0.9, 0.4], [0.1], [1, 0], [1]).fnmr[1] == 0
    assert error_curve([0.9], [0.1], [1e-12], [1e-12]).fnmr[-1] == 0
