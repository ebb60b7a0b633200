"""Score to FMR, on numbers that can be counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ifvit.comparison.calibration import Calibration, load_calibration, save_calibration

NINE = Calibration.of([0.9, 0.1, 0.5, 0.2, 0.3, 0.4, 0.6, 0.7, 0.7], "d", "m", "s")


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
    path = tmp_path / "calibration.json"
    save_calibration(path, NINE)
    loaded = load_calibration(path)
    np.testing.assert_array_equal(loaded.impostor, NINE.impostor)
    assert loaded.origin == ("d", "m", "s")
    for content in ("", "[]", '{"impostor": []}', '{"impostor": ["x"]}'):
        path.write_text(content)
        with pytest.raises(ValueError, match="ifvit calibrate"):
            load_calibration(path)
    with pytest.raises(FileNotFoundError):
        load_calibration(tmp_path / "none.json")
