"""Where coarse cells lie."""

import numpy as np
import pytest

from ifvit.config import ModelConfig
from ifvit.geometry.grid import cell_centres, cell_mask, frame_side, nearest_cell


@pytest.mark.parametrize("ppi", [500, 250, 125])
def test_nearest_cell_inverts_cell_centres(ppi):
    model = ModelConfig(ppi=ppi, canvas=48)
    centres, size = cell_centres(model), 8 * 500 // ppi
    np.testing.assert_array_equal(nearest_cell(centres, model), np.arange(36))
    # The first cell covers pixels 0 to size - 1, the next follows in the row.
    np.testing.assert_allclose(centres[0], (size - 1) / 2)
    np.testing.assert_allclose(centres[1] - centres[0], [size, 0])
    for corner in (0.49, -0.49):
        near = centres + corner * size
        np.testing.assert_array_equal(nearest_cell(near, model), np.arange(36))


def test_points_outside_go_to_the_border(micro):
    points = np.array([[-50.0, 20.0], [500.0, 500.0], [20.0, -1.0]])
    np.testing.assert_array_equal(nearest_cell(points, micro), [6, 35, 1])


def test_a_frame_is_the_canvas_at_500_ppi(micro):
    assert frame_side(micro) == 96


def test_cell_mask_takes_cells_that_are_half_foreground():
    mask = np.zeros((1, 16, 24), bool)
    mask[0, :4, :8] = True  # half of cell (0, 0)
    mask[0, 8:, 8:] = True  # all of (1, 1) and (1, 2)
    mask[0, :3, 16:] = True  # three eighths of (0, 2)
    expected = [[[True, False, False], [False, True, True]]]
    np.testing.assert_array_equal(cell_mask(mask), expected)
