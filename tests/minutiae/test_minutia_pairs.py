"""Minutiae paired by a registration that is known exactly."""

from __future__ import annotations

import numpy as np
import pytest

from ifvit.geometry.field import Displacement
from ifvit.geometry.transforms import similarity
from ifvit.minutiae.minutia_pairs import nearest_pairs, pair_minutiae, placed
from ifvit.minutiae.minutiae import Minutiae
from ifvit.registration.alignment import Alignment

pytest.importorskip("scipy")

ANGLE = 30.0


def alignment(ok: bool = True, displacement: Displacement | None = None) -> Alignment:
    nothing = np.zeros((0, 2))
    return Alignment(
        ok,
        "" if ok else "no matches",
        similarity(ANGLE, (100, 100)),
        nothing,
        nothing,
        np.zeros(0),
        np.zeros(0, bool),
        ANGLE,
        displacement,
    )


def scattered(count: int = 20) -> Minutiae:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:5, :4].reshape(2, -1)
    places = 20 + 40.0 * np.stack([x, y], axis=1)[:count] + rng.uniform(-5, 5, (count, 2))
    return Minutiae(places, rng.uniform(0, 2 * np.pi, count), rng.random(count) < 0.5)


def test_each_minutia_finds_its_own_among_others():
    first = scattered()
    order = np.random.default_rng(1).permutation(len(first))
    moved = placed(first, alignment()).of(order)
    pairs = pair_minutiae(first, moved, alignment())
    np.testing.assert_array_equal(pairs.index0, np.arange(len(first)))
    np.testing.assert_array_equal(order[pairs.index1], pairs.index0)
    np.testing.assert_allclose(pairs.residual_px, 0, atol=1e-9)


def test_directions_turn_with_the_print_and_residuals_are_in_its_pixels():
    first = scattered()
    moved = placed(first, alignment())
    turn = np.angle(np.exp(1j * (moved.directions - first.directions)))
    np.testing.assert_allclose(turn, np.deg2rad(ANGLE), atol=1e-9)
    off = Minutiae(moved.places + np.array([3.0, 4.0]), moved.directions, moved.bifurcations)
    np.testing.assert_allclose(pair_minutiae(first, off, alignment()).residual_px, 5)


def test_the_skins_distortion_is_followed():
    pulled = Displacement(np.full((4, 4, 2), 15.0), 60.0, (0.0, 0.0), (0.0, 0.0))
    first = scattered()
    moved = placed(first, alignment(displacement=pulled))
    assert len(pair_minutiae(first, moved, alignment(displacement=pulled)).index0) == len(first)
    assert len(pair_minutiae(first, moved, alignment()).index0) < 4


def test_swapped_prints_have_the_same_pairs():
    """Where skin is stretched, what is near in one print may be too far in the other."""
    x = np.mgrid[:8, :8][1]
    stretched = np.stack([0.35 * 30.0 * x, np.zeros(x.shape)], axis=-1)
    pulled = Displacement(stretched, 30.0, (0.0, 0.0), (100.0, 100.0))
    found = alignment(displacement=pulled)
    draw = np.random.default_rng(4)
    first = Minutiae(draw.uniform(0, 220, (90, 2)), np.full(90, 1.0), np.zeros(90, bool))
    shaken = first.places + draw.normal(0, 7, first.places.shape)
    second = placed(Minutiae(shaken, first.directions, first.bifurcations), found)
    for there in (found, found.transposed()):
        one, other = (first, second) if there is found else (second, first)
        pairs = pair_minutiae(one, other, there)
        swapped = pair_minutiae(other, one, there.transposed())
        assert len(pairs.index0) > 20
        both = zip(*(part.tolist() for part in pairs[:2]), strict=True)
        assert sorted(both) == sorted(
            zip(swapped.index1.tolist(), swapped.index0.tolist(), strict=True)
        )
        np.testing.assert_allclose(np.sort(pairs.residual_px), np.sort(swapped.residual_px))


def test_no_pair_lies_too_far_or_points_elsewhere_and_none_is_used_twice():
    def one(*places, direction=0.0):
        return Minutiae(
            np.array(places, float), np.full(len(places), direction), np.zeros(len(places), bool)
        )

    assert len(nearest_pairs(one((0, 0)), one((13, 0))).index0) == 0
    assert len(nearest_pairs(one((0, 0)), one((2, 0), direction=np.pi)).index0) == 0
    # The nearest of all is given up, so that both are paired.
    pairs = nearest_pairs(one((0, 0), (8, 0)), one((7, 0), (15, 0)))
    assert pairs.index1.tolist() == [0, 1]


def test_prints_that_are_not_aligned_have_no_pairs():
    first = scattered()
    assert len(pair_minutiae(first, placed(first, alignment()), alignment(False)).index0) == 0
