"""The field that matches show: a known one is found, and what moves by itself is not believed."""

from __future__ import annotations

import numpy as np
import pytest

from ifvit.geometry.field import Displacement
from ifvit.geometry.grid import cell_centres, frame_side
from ifvit.geometry.transforms import apply, invert, similarity
from ifvit.presets import SMALL_MODEL, TINY_MODEL
from ifvit.registration.rectify import between_cells, local_support, matched_displacement

SIDE = frame_side(SMALL_MODEL)
MIDDLE = ((SIDE - 1) / 2, (SIDE - 1) / 2)
CENTRES = cell_centres(SMALL_MODEL)


def swept(points: np.ndarray) -> np.ndarray:
    """A finger swept over the sensor a tenth too slowly, and unevenly: up to 15 px from its place.

    Lengths in pixels at 500 ppi.
    """
    x, y = points.T
    return np.stack([x, y + 0.10 * (y - MIDDLE[1]) + 4 * np.sin(y / 60.0)], axis=-1)


def pulled(points: np.ndarray) -> np.ndarray:
    """A finger pulled while its middle stuck: nothing moves there, the rim by 40 px."""
    away = np.linalg.norm(points - MIDDLE, axis=1)
    follows = 1 / (1 + np.exp(-(away - 90) / 30))
    return points + follows[:, None] * [24.0, 32.0]


@pytest.mark.parametrize(("skin", "share", "found_of"), [(swept, 1 / 3, 95), (pulled, 1 / 4, 90)])
@pytest.mark.parametrize("angle", [0.0, 130.0])
def test_a_distortion_is_found_from_imprecise_matches_many_of_them_wrong(
    skin, share, found_of, angle
) -> None:
    H = similarity(angle, MIDDLE)
    rng = np.random.default_rng(0)
    points1 = apply(H, skin(CENTRES)) + rng.normal(0, 3.0, CENTRES.shape)
    wrong = rng.random(len(CENTRES)) < share
    points1[wrong] += rng.uniform(-200, 200, (wrong.sum(), 2))
    moved = apply(invert(H), points1) - CENTRES
    found = matched_displacement(moved, np.full(len(CENTRES), 0.5), CENTRES)
    truth = skin(CENTRES) - CENTRES
    away = np.linalg.norm(found.reshape(-1, 2) - truth, axis=1)
    assert np.linalg.norm(truth, axis=1).max() > 14
    # So many of a hundred cells within half a ridge period (9 px), from where the elastic step
    # finds the right ridge.
    assert np.median(away) < 2.0 and np.percentile(away, found_of) < 4.5


def test_who_moves_with_its_neighbours_is_believed_however_far() -> None:
    rng = np.random.default_rng(1)
    moved = np.tile([60.0, -10.0], (len(CENTRES), 1)) + rng.normal(0, 2, CENTRES.shape)
    lonely = np.zeros(len(CENTRES), bool)
    lonely[::7] = True
    moved[lonely] += rng.choice([-1, 1], (lonely.sum(), 1)) * rng.uniform(
        80, 150, (lonely.sum(), 2)
    )
    support = local_support(CENTRES, moved, np.full(len(CENTRES), 0.5))
    assert support[~lonely].min() > 0.6 and support[lonely].max() < 0.3
    assert ((support >= 0) & (support <= 1)).all()


def test_a_match_without_neighbours_has_no_support() -> None:
    apart = np.array([[0.0, 0.0], [1000.0, 0.0]])
    np.testing.assert_allclose(local_support(apart, np.zeros((2, 2)), np.ones(2)), 0, atol=1e-6)


@pytest.mark.parametrize("count", [0, 1])
def test_few_matches_show_nothing(count) -> None:
    moved, confidence = np.ones(CENTRES.shape), np.zeros(len(CENTRES))
    confidence[:count] = 1.0
    np.testing.assert_allclose(matched_displacement(moved, confidence, CENTRES), 0.0, atol=1e-9)


def test_displacements_are_read_as_elsewhere() -> None:
    field = np.random.default_rng(1).normal(size=(TINY_MODEL.cells, TINY_MODEL.cells, 2))
    side = frame_side(TINY_MODEL)
    points = np.random.default_rng(2).uniform(-10, side + 10, (50, 2))
    read = between_cells(field, points, TINY_MODEL)
    np.testing.assert_allclose(
        read, Displacement.of_frames(field, TINY_MODEL).at(points), atol=1e-4
    )
