"""Which cell matches which, in cases that can be drawn by hand."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.features.network_view import frame_foreground, prepare
from ifvit.geometry.grid import cell_centres
from ifvit.sources.truth import IGNORE, UNMATCHED, cell_matches, impostor_matches, places_of

CELL = 16
"""Pixels of a frame at 500 ppi per cell of a network at 250 ppi."""


def matches(micro, shift, mask0=None, mask1=None, valid=None):
    """Return (6, 6) matches of prints that lie ``shift`` (x, y) apart, as row and column of 1."""
    centres, whole = jnp.asarray(cell_centres(micro)), jnp.ones((6, 6), bool)
    points1, points0 = centres + jnp.array(shift), centres - jnp.array(shift)
    inside = ((points1 >= 0) & (points1 <= 95)).all(-1)
    found = cell_matches(
        points1,
        inside if valid is None else valid,
        points0,
        whole if mask0 is None else mask0,
        whole if mask1 is None else mask1,
        micro,
    )
    return np.asarray(found).reshape(6, 6)


def test_identity_matches_each_cell_with_itself(micro):
    np.testing.assert_array_equal(matches(micro, (0.0, 0.0)).ravel(), np.arange(36))


def test_whole_cells_of_translation(micro):
    """One column right, two rows down; beyond the edge, ignored for a cell and unmatched after."""
    found = matches(micro, (1.0 * CELL, 2.0 * CELL))
    for row in range(6):
        for column in range(6):
            if row + 2 > 6:
                assert found[row, column] == UNMATCHED
            elif row + 2 > 5 or column + 1 > 5:
                assert found[row, column] == IGNORE
            else:
                assert found[row, column] == 6 * (row + 2) + column + 1


def test_background_is_ignored_and_missing_skin_is_unmatched(micro):
    """Image 1 shows columns 0 and 1 only; image 0 has no row 0."""
    mask0 = jnp.ones((6, 6), bool).at[0].set(False)
    mask1 = jnp.zeros((6, 6), bool).at[:, :2].set(True)
    valid = jnp.broadcast_to(jnp.arange(6) < 2, (6, 6)).ravel()
    found = matches(micro, (0.0, 0.0), mask0, mask1, valid)
    assert (found[0] == IGNORE).all()
    np.testing.assert_array_equal(found[1:, :2], np.arange(36).reshape(6, 6)[1:, :2])
    # The cell beside the border of the contact may show a rest of it: neither can be said.
    assert (found[1:, 2] == IGNORE).all()
    assert (found[1:, 3:] == UNMATCHED).all()


def test_touching_skin_that_is_no_foreground_is_ignored(micro):
    mask1 = jnp.zeros((6, 6), bool)
    found = matches(micro, (0.0, 0.0), mask1=mask1, valid=jnp.ones(36, bool))
    assert (found == IGNORE).all()


def test_a_match_is_mutual(micro):
    """All cells map into cell 0, but only the cell that cell 0 maps back to matches it."""
    centres, whole = jnp.asarray(cell_centres(micro)), jnp.ones((6, 6), bool)
    back = centres.at[0].set(centres[14])
    everywhere = jnp.broadcast_to(centres[0], centres.shape)
    found = cell_matches(everywhere, jnp.ones(36, bool), back, whole, whole, micro)
    assert np.flatnonzero(np.asarray(found) >= 0).tolist() == [14]
    assert found[14] == 0 and (np.delete(found, 14) == IGNORE).all()


@pytest.mark.parametrize("ppi", [250, 500])
def test_the_centre_of_a_cell_lies_at_its_column_and_row(micro, ppi):
    model = replace(micro, ppi=ppi)
    found = places_of(jnp.asarray(cell_centres(model)), model)
    row, column = np.divmod(np.arange(36), 6)
    np.testing.assert_allclose(found, np.stack([column, row], axis=-1), atol=1e-5)


def test_impostors_match_nowhere():
    mask0 = jnp.array([[[True, False], [False, True]]])
    found = impostor_matches(jnp.array([[3, 1, UNMATCHED, IGNORE]]), mask0)
    np.testing.assert_array_equal(found, [[UNMATCHED, IGNORE, IGNORE, UNMATCHED]])


def test_prepare_gives_the_networks_shapes(micro):
    wave = 0.5 + 0.5 * jnp.sin(2 * jnp.pi * jnp.arange(96) / 9)
    frames = jnp.stack([jnp.ones((96, 96)), jnp.broadcast_to(wave, (96, 96))])
    image, mask = prepare(frames, micro)
    assert image.shape == (2, 48, 48) and mask.shape == (2, 6, 6)
    assert not image[0].any() and not mask[0].any()
    assert mask[1].all() and np.isfinite(image).all()
    area = frame_foreground(frames, micro)
    assert area.shape == (2, 96, 96) and not area[0].any() and area[1].all()
