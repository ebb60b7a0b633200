"""Score to FMR, on numbers that can be counted by hand, and what a decision holds for."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

import ifvit
from ifvit.comparison.decision import (
    DECISION_FILE,
    Decision,
    decision_of,
    holding,
    load_decision,
    save_decision,
)
from ifvit.comparison.score import FUSION, Fusion
from ifvit.registration.align import AlignedRule, judged
from ifvit.registration.alignment import Alignment

NINE = Decision(
    fusion=Fusion(0.4, 0.1, 0.4),
    rule=AlignedRule(min_inliers=5),
    dense_sha256="d",
    matcher_sha256="m",
).calibrated([0.9, 0.1, 0.5, 0.2, 0.3, 0.4, 0.6, 0.7, 0.7], "s")


@pytest.mark.parametrize(
    ("score", "reached"), [(1.0, 0), (0.9, 1), (0.8, 1), (0.7, 3), (0.05, 9), (-1.0, 9)]
)
def test_the_rate_counts_those_that_reach_the_score_and_one_more(score: float, reached: int):
    assert NINE.fmr(score) == pytest.approx((reached + 1) / 10)


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.3, 0.4, 0.5, 0.9, 1.0])
def test_at_its_threshold_the_rate_is_kept_and_nothing_lower_would_do(rate: float):
    threshold = NINE.threshold(rate)
    assert NINE.fmr(threshold) <= rate + 1e-12
    if rate < 1:
        assert NINE.fmr(np.nextafter(threshold, -np.inf)) > rate


@pytest.mark.parametrize("rate", [0.0, 0.05, 1.5])
def test_rates_that_cannot_be_claimed_are_refused(rate: float):
    with pytest.raises(ValueError, match=r"9 impostor comparisons calibrate rates from 0\.1 to 1"):
        NINE.threshold(rate)


def test_it_is_kept_in_a_file(tmp_path: Path):
    path = tmp_path / "decision.json"
    save_decision(path, NINE)
    loaded = load_decision(path)
    np.testing.assert_array_equal(loaded.impostor, NINE.impostor)
    assert asdict(replace(loaded, impostor=None)) == asdict(replace(NINE, impostor=None))
    assert loaded.version == ifvit.__version__
    for content in ("", "[]", '{"impostor": []}', path.read_text().replace("0.9", '"x"')):
        path.write_text(content)
        with pytest.raises(ValueError, match="ifvit calibrate"):
            load_decision(path)
    with pytest.raises(FileNotFoundError):
        load_decision(tmp_path / "none.json")
    with pytest.raises(ValueError, match="expected a decision with impostor scores"):
        save_decision(path, Decision())


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("version", 3, "is not text"),
        ("fingerprint", None, "is not text"),
        ("impostor", [0.1, "0.5"], "are not numbers"),
        ("impostor", [0.1, True], "are not numbers"),
        ("impostor", [0.1, 1.5], "1 of them not in"),
        ("fusion", {"ridge": 0.5, "block": 0.5, "match": 0.5}, "are not in \\[0, 1\\]"),
        ("fusion", {"ridge": -0.1, "block": 0.1, "match": 0.1}, "are not in \\[0, 1\\]"),
        ("rule", {"min_inliers": "8", "min_ridge_ncc": 0.3}, "are not numbers"),
    ],
)
def test_values_that_could_not_have_been_written_are_refused(tmp_path: Path, name, value, reason):
    path = tmp_path / "decision.json"
    save_decision(path, NINE)
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(ValueError, match=reason):
        load_decision(path)


def test_a_score_of_one_calibrates_and_a_cosine_may_be_rounded_beyond_it():
    assert Decision().calibrated([1.0, -1.0, 1.00005], "s").fmr(1.0) == pytest.approx(3 / 4)
    with pytest.raises(ValueError, match="1 of them not in"):
        Decision().calibrated([1.001], "s")


def test_what_is_not_known_is_not_claimed():
    assert Decision().fmr(0.5) is None
    with pytest.raises(ValueError, match="0 impostor comparisons"):
        Decision().threshold(0.5)


def test_the_file_beside_the_weights_decides_for_these_weights_alone(tmp_path: Path, caplog):
    """Its fusion and its rule too: other settings leave them, and take the rates."""
    beside = tmp_path / "matcher.safetensors"
    assert decision_of(beside, None, ("d", "m")).weights == ("d", "m")
    save_decision(beside.with_name(DECISION_FILE), NINE)
    found = decision_of(beside, None, ("d", "m"))
    assert found.fusion == NINE.fusion != FUSION and found.rule.min_inliers == 5
    assert holding(found, beside, None, "s") is found
    other = holding(found, beside, None, "t")
    assert other.fmr(0.9) is None and other.fusion == NINE.fusion
    assert "belongs to other settings" in caplog.text
    assert decision_of(beside, None, ("d", "other")).fusion == FUSION
    assert "belongs to other weights" in caplog.text
    given = beside.with_name(DECISION_FILE)
    with pytest.raises(ValueError, match="belongs to other weights"):
        decision_of(beside, given, ("other", "m"))
    with pytest.raises(ValueError, match="belongs to other settings"):
        holding(found, beside, given, "t")


def test_prints_that_are_not_aligned_have_the_lowest_score():
    none = np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0), np.zeros(0, bool)
    few = judged(Alignment(True, "", np.eye(2, 3), *none, 0.0), NINE.rule)
    assert not few.ok and "5 are needed" in few.reason and NINE.decide(0.9, few) == (-1.0, 1.0)
    # Without evidence it is the maps' word.
    assert NINE.decide(0.9, replace(few, ok=True)) == (0.9, pytest.approx(0.2))
