"""The distortion that matches show: a known one is found, and no matches show nothing."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.data.pairs import cell_centres, frame_side
from ifvit.pipeline.displacement import Displacement
from ifvit.pipeline.geometry import apply, similarity
from ifvit.pipeline.matched import between_cells, matched_displacement
from ifvit.presets import TINY_MODEL

SIDE = frame_side(TINY_MODEL)
MIDDLE = ((SIDE - 1) / 2, (SIDE - 1) / 2)
CENTRES = np.asarray(cell_centres(TINY_MODEL), np.float64)


def swept(points: np.ndarray) -> np.ndarray:
    """A finger swept over the sensor a tenth too slowly, and unevenly: up to 11 px from its place.

    Lengths in pixels at 500 ppi.
    """
    x, y = points.T
    return np.stack([x, y + 0.10 * (y - MIDDLE[1]) + 4 * np.sin(y / 60.0)], axis=-1)


def errors(weight: np.ndarray, points1: np.ndarray, H: np.ndarray) -> np.ndarray:
    found = matched_displacement(
        *(jnp.asarray(a, jnp.float32) for a in (H, CENTRES, points1, weight)), TINY_MODEL
    )
    return np.linalg.norm(np.asarray(found).reshape(-1, 2) - (swept(CENTRES) - CENTRES), axis=1)


@pytest.mark.parametrize("angle", [0.0, 130.0])
def test_a_sweep_is_found_from_imprecise_matches_a_third_of_them_wrong(angle):
    H = similarity(angle, MIDDLE)
    rng = np.random.default_rng(0)
    points1 = apply(H, swept(CENTRES)) + rng.normal(0, 3.0, CENTRES.shape)
    wrong = rng.random(len(CENTRES)) < 1 / 3
    points1[wrong] += rng.uniform(-200, 200, (wrong.sum(), 2))
    away = errors(np.full(len(CENTRES), 0.5), points1, H)
    before = np.linalg.norm(swept(CENTRES) - CENTRES, axis=1)
    assert before.max() > 11 and np.median(before) > 4
    # Within half a ridge period (9 px), from where the elastic step finds the right ridge.
    assert np.median(away) < 2.0 and np.percentile(away, 95) < 4.5


def test_no_matches_show_nothing():
    found = matched_displacement(
        jnp.eye(2, 3), jnp.zeros((9, 2)), jnp.ones((9, 2)), jnp.zeros(9), TINY_MODEL
    )
    np.testing.assert_array_equal(found, 0.0)


def test_displacements_are_read_as_elsewhere():
    field = np.random.default_rng(1).normal(size=(TINY_MODEL.cells, TINY_MODEL.cells, 2))
    points = np.random.default_rng(2).uniform(-10, SIDE + 10, (50, 2))
    read = between_cells(jnp.asarray(field), jnp.asarray(points), TINY_MODEL)
    np.testing.assert_allclose(
        read, Displacement.of_frames(field, TINY_MODEL).at(points), atol=1e-4
    )
