"""Minutiae of synthetic prints beside the exact ones of their fingers."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.data.prints import ridge_area
from ifvit.dataset_spec import DatasetSpec
from ifvit.evaluation.exact_minutiae import (
    Counted,
    counted,
    exact_minutiae,
    identified,
    master_minutiae,
)
from ifvit.minutiae.minutiae import Minutiae, extract_minutiae
from ifvit.sources.masters import TEST_FINGERS
from ifvit.synthesis.dataset import make_dataset
from ifvit.synthesis.impression import to_master

pytestmark = pytest.mark.heavy

pytest.importorskip("skimage")

SPEC = DatasetSpec(fingers=2, impressions=2, first_finger=TEST_FINGERS)
SHAPE = SPEC.height, SPEC.width


@pytest.fixture(scope="module")
def made():
    """Each impression with its finger's minutiae, and those that it shows."""
    masters = [master_minutiae(SPEC.seed, TEST_FINGERS + finger) for finger in range(SPEC.fingers)]
    return [
        (
            masters[finger],
            exact_minutiae(masters[finger], params, SHAPE),
            params,
            np.asarray(impression.image, np.float32),
        )
        for finger, _, _, params, impression in make_dataset(SPEC)
    ]


def test_fingers_have_as_many_minutiae_as_fingers_have(made):
    area = 480 * 384 * (25.4 / 500) ** 2
    for master, *_ in made:
        assert 0.15 < len(master) / area < 0.45


def test_an_impressions_minutiae_lie_where_the_map_has_them(made):
    for master, exact, params, _ in made:
        back = np.asarray(to_master(params, jnp.asarray(exact.places, jnp.float32), SHAPE))
        apart = np.linalg.norm(back[:, None] - master.places[None], axis=-1)
        assert 10 < len(exact) < len(master)
        assert apart.min(axis=1).max() < 0.05


def test_most_of_what_is_found_is_there_and_most_of_what_is_there_is_found(made):
    total = np.zeros(5, int)
    for _, exact, _, image in made:
        ridges = ridge_area(image, 500)
        total += counted(extract_minutiae(image, ridges), exact, ridges)
    found = Counted(*total.tolist())
    assert found.precision > 0.8
    assert found.recall > 0.6


def test_what_is_found_is_told_by_the_fingers_own_number(made):
    for master, exact, params, _ in made:
        order = np.random.default_rng(0).permutation(len(exact))
        which = identified(exact.of(order), master, params, SHAPE)
        assert len({*which.tolist()}) == len(exact) and which.min() >= 0
        np.testing.assert_array_equal(master.bifurcations[which], exact.bifurcations[order])
        nowhere = Minutiae(np.full((1, 2), -50.0), np.zeros(1), np.zeros(1, bool))
        assert identified(nowhere, master, params, SHAPE).tolist() == [-1]


def test_counts_by_hand():
    places = np.array([[50.0, 50.0], [80.0, 50.0], [110.0, 50.0]])
    exact = Minutiae(places, np.zeros(3), np.array([True, False, False]))
    shifted = Minutiae(places[:2] + 2, np.zeros(2), np.array([True, True]))
    other = Minutiae(np.array([[60.0, 120.0]]), np.zeros(1), np.zeros(1, bool))
    found = Minutiae(
        *(
            np.concatenate(both)
            for both in zip(
                (shifted.places, shifted.directions, shifted.bifurcations),
                (other.places, other.directions, other.bifurcations),
                strict=True,
            )
        )
    )
    count = counted(found, exact, np.ones((160, 160), bool))
    assert count == Counted(exact=3, found=3, right=2, recalled=2, same_type=1)
    assert count.precision == count.recall == pytest.approx(2 / 3)
