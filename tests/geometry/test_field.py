"""Displacement fields between their cells."""

import numpy as np

from ifvit.geometry.field import Displacement
from ifvit.geometry.grid import frame_side
from ifvit.presets import TINY_MODEL

SIDE = frame_side(TINY_MODEL)


def test_displacements_between_cells_are_bilinear():
    values = np.zeros((16, 16, 2))
    values[..., 0] = np.arange(16)[None, :]
    cell = SIDE / 16
    points = np.array([[5 * cell + cell / 2 - 0.5, 100.0], [6 * cell - 0.5, 100.0]])
    found = Displacement.of_frames(values, TINY_MODEL).at(points)
    np.testing.assert_allclose(found, [[5.0, 0.0], [5.5, 0.0]], atol=1e-9)


def test_many_fields_are_read_as_each_by_itself():
    rng = np.random.default_rng(0)
    values, points = rng.normal(size=(3, 16, 16, 2)), rng.uniform(-40, SIDE + 40, (3, 50, 2))
    each = [Displacement.of_frames(field, TINY_MODEL) for field in values]
    expected = [one.at(few) for one, few in zip(each, points, strict=True)]
    found = Displacement.read(values, points, each[0].cell_px)
    np.testing.assert_allclose(found, expected, atol=1e-9)
