"""Registration quality: counted right on alignments whose error is known beforehand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ifvit.config import ModelConfig
from ifvit.evaluation.mapped_pairs import MappedPair, mapped_pairs
from ifvit.evaluation.registration_quality import PairError, pair_error, registration_figures
from ifvit.geometry.field import Displacement
from ifvit.registration.alignment import Alignment
from ifvit.sources.masters import TEST_FINGERS

pytestmark = pytest.mark.heavy

MODEL = ModelConfig(backbone_widths=(8, 8, 8), d_model=16, num_layers=2, num_heads=2)


@pytest.fixture(scope="module")
def pairs() -> list[MappedPair]:
    return mapped_pairs(MODEL, TEST_FINGERS, 1, 3, seed=3)


def exact(pair: MappedPair, shift: float = 0.0) -> Alignment:
    """The map itself as an alignment, ``shift`` pixels too far to the right."""
    H = np.array([[1.0, 0.0, shift], [0.0, 1.0, 0.0]])
    moved = (pair.points1 - pair.centres).reshape(MODEL.cells, MODEL.cells, 2)
    field = Displacement.of_frames(moved, MODEL)
    kept = pair.valid
    points1 = pair.points1[kept] + np.array([shift, 0.0])
    everyone = np.ones(int(kept.sum()), bool)
    confidence = np.ones(len(everyone), np.float32)
    return Alignment(
        *(True, "", H, pair.centres[kept], points1, confidence, everyone, pair.angle, field)
    )


def test_the_exact_map_has_no_error(pairs: list[MappedPair]) -> None:
    for pair in pairs:
        found = pair_error(exact(pair), pair)
        assert found.error_px == pytest.approx(0.0, abs=0.05)
        assert found.rotation_error == 0.0
        assert found.correct == found.claimed == found.possible > 50


@pytest.mark.parametrize(("shift", "right"), [(6.0, True), (10.0, False)])
def test_a_shift_is_an_error_of_its_length(
    pairs: list[MappedPair], shift: float, right: bool
) -> None:
    found = pair_error(exact(pairs[0], shift), pairs[0])
    assert found.error_px == pytest.approx(shift, abs=0.05)
    assert found.correct == (found.claimed if right else 0)


def test_an_error_has_a_part_along_the_ridges_and_one_across(pairs: list[MappedPair]) -> None:
    side = len(pairs[0].frame0)
    level = 0.5 + 0.4 * np.sin(2 * np.pi * np.arange(side, dtype=np.float32) / 9)
    for ridges, along, across in ((level[:, None], 6.0, 0.0), (level[None], 0.0, 6.0)):
        frame = np.broadcast_to(ridges, (side, side))
        pair = replace(pairs[0], frame0=frame, points1=pairs[0].centres)
        found = pair_error(exact(pair, 6.0), pair)
        assert (found.along_px, found.across_px) == pytest.approx((along, across), abs=0.1)


def test_the_rotation_is_that_of_the_prints(pairs: list[MappedPair]) -> None:
    turned = replace(exact(pairs[0]), angle=pairs[0].angle + 350.0)
    assert pair_error(turned, pairs[0]).rotation_error == pytest.approx(10.0)
    assert np.ptp([pair.angle for pair in pairs]) > 30, "all of them turned alike"


def test_figures_on_numbers_that_can_be_checked_by_hand() -> None:
    errors = [
        PairError(True, 2.0, 1.0, 1.5, 1.0, 8, 10, 20, True),
        PairError(True, 4.0, 3.0, 2.0, 2.0, 6, 10, 20, True),
        PairError(True, 9.0, 8.0, 3.0, 5.0, 0, 10, 20, True),
        PairError(False, 90.0, 80.0, 20.0, 0.5, 0, 3, 20, False),
    ]
    found = registration_figures(errors)
    assert (found.pairs, found.aligned) == (4, 0.75)
    assert found.error_px_median == 4.0
    assert found.error_px_90 == pytest.approx(8.0)
    assert (found.along_px_median, found.across_px_median) == (3.0, 2.0)
    assert (found.within_4_px, found.within_8_px) == pytest.approx((2 / 3, 2 / 3))
    # The one that could not be aligned counts against it, whatever its angle.
    assert found.rotation_within_3 == 0.5
    assert (found.good, found.good_rotation_within_3) == (3, pytest.approx(2 / 3))
    assert found.match_precision == pytest.approx(14 / 30)
    assert found.match_recall == pytest.approx(14 / 60)


def test_a_dry_or_hardly_shared_print_is_not_of_good_quality() -> None:
    made = mapped_pairs(MODEL, TEST_FINGERS, 4, 24, seed=5)
    dry = np.array([max(float(p.dryness) for p in pair.params) for pair in made])
    good = np.array([pair.good for pair in made])
    assert not good[dry > 0.5].any() and 0.2 < good.mean() < 0.9
    assert min(pair.valid.sum() for pair in made if pair.good) > 50


def test_no_pair_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        registration_figures([])
    lost = registration_figures([PairError(False, 50.0, 40.0, 30.0, 90.0, 0, 0, 20, False)])
    assert np.isnan(lost.error_px_median) and lost.aligned == 0
