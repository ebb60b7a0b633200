import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ifvit.evaluation.bootstrap import estimates
from ifvit.evaluation.metrics import auc, curve_auc, eer, error_curve, fnmr_at_fmr


def comparisons(fingers: int, impressions: int, seed: int = 0):
    """All pairs of a made-up set; a finger's own quality moves all its genuine scores."""
    rng = np.random.default_rng(seed)
    prints = [(f, i) for f in range(fingers) for i in range(impressions)]
    quality = rng.normal(1.5, 0.5, fingers)
    rows = []
    for index, (f, _) in enumerate(prints):
        for g, _ in prints[index + 1 :]:
            rows.append((rng.normal(quality[f] if f == g else 0.0, 0.7), int(f == g), f, g))
    scores, labels, first, second = zip(*rows, strict=True)
    return list(scores), list(labels), [str(f) for f in first], [str(f) for f in second]


def test_weights_are_repetitions():
    """A curve with weights is that of a list in which each score stands as often."""
    rng = np.random.default_rng(0)
    genuine, impostor = rng.integers(0, 6, 10) / 5, rng.integers(0, 6, 12) / 5
    wg, wi = rng.integers(0, 4, 10), rng.integers(0, 4, 12)
    weighted = error_curve(genuine, impostor, wg, wi)
    repeated = error_curve(np.repeat(genuine, wg), np.repeat(impostor, wi))
    kept = np.isin(weighted.thresholds, repeated.thresholds)
    np.testing.assert_allclose(weighted.fmr[kept], repeated.fmr, atol=1e-12)
    np.testing.assert_allclose(weighted.fnmr[kept], repeated.fnmr, atol=1e-12)
    assert curve_auc(weighted) == pytest.approx(curve_auc(repeated))
    labels = np.repeat([1, 0], [wg.sum(), wi.sum()])
    pooled = np.concatenate([np.repeat(genuine, wg), np.repeat(impostor, wi)])
    assert curve_auc(weighted) == pytest.approx(roc_auc_score(labels, pooled))
    with pytest.raises(ValueError, match="weights are all 0"):
        error_curve(genuine, impostor, wg, 0 * wi)


def test_values_are_those_of_the_metrics():
    scores, labels, first, second = comparisons(6, 3)
    found = estimates(scores, labels, first, second, [0.05], samples=20)
    values, genuine = np.array(scores), np.array(labels) == 1
    lists = values[genuine], values[~genuine]
    assert found["EER"].value == eer(*lists) and found["AUC"].value == auc(*lists)
    assert found["FMR100"].value == fnmr_at_fmr(*lists, 0.01)
    assert found["ZeroFMR"].value == fnmr_at_fmr(*lists, 0.0)
    assert found["FNMR at FMR 5 %"].value == fnmr_at_fmr(*lists, 0.05)
    for estimate in found.values():
        assert 0 <= estimate.low <= estimate.high <= 1


def test_the_same_seed_gives_the_same_interval_and_order_does_not_matter():
    scores, labels, first, second = comparisons(5, 3)
    once = estimates(scores, labels, first, second, samples=50)
    turned = estimates(scores[::-1], labels[::-1], first[::-1], second[::-1], samples=50)
    for name in once:
        np.testing.assert_allclose(turned[name], once[name], atol=1e-12)
    assert once != estimates(scores, labels, first, second, samples=50, seed=1)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Thirty sets of twelve fingers, whose genuine scores depend on the finger."""
    truth = estimates(*comparisons(120, 3, seed=99), samples=0)["AUC"].value
    held = 0
    for seed in range(30):
        found = estimates(*comparisons(12, 3, seed), samples=100)["AUC"]
        held += found.low <= truth <= found.high
    assert held >= 24


def test_no_impostors_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="no impostor scores"):
        estimates([0.5, 0.6], [1, 1], ["a", "a"], ["a", "a"])
