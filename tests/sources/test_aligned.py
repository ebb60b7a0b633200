"""Aligned pairs: the exact cells, and the error that is drawn on top."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.geometry.grid import cell_centres
from ifvit.geometry.transforms import apply, compose, invert
from ifvit.sources.aligned import AlignmentError, disturb, template_rows
from ifvit.sources.dense_synthetic import draw_pairs
from ifvit.sources.match_synthetic import SyntheticAligned
from ifvit.synthesis import correspondence, draw_impression, finger_key, from_master

SIZE = 6
NONE, SOME = AlignmentError(0.0, 0.0), AlignmentError(8.0, 4.0)


@pytest.fixture(scope="module")
def source(masters, micro):
    return SyntheticAligned(0, np.arange(4), masters, micro, max_rotation=40.0, impostor_ratio=0.5)


@pytest.fixture(scope="module")
def exact(source):
    return source.aligned(0, SIZE, NONE, 0.0)


@pytest.fixture(scope="module")
def disturbed(source):
    return source.aligned(0, SIZE, SOME, 0.0)


def test_the_error_has_the_spread_that_was_asked_for():
    keys = jax.random.split(jax.random.key(0), 500)
    still, one = jnp.eye(2, 3), jnp.ones(())
    drawn = jax.vmap(lambda key: disturb(key, still, one, SOME, 96))(keys)
    angle = np.rad2deg(np.arctan2(drawn[:, 1, 0], drawn[:, 0, 0]))
    shift = np.asarray(jax.vmap(lambda H: apply(H, jnp.full((1, 2), 47.5)))(drawn) - 47.5)
    # Clipped at two standard deviations, a normal distribution keeps 0.96 of its own.
    assert angle.std() == pytest.approx(4.0, rel=0.15) and np.abs(angle).max() < 8.01
    assert shift.std() == pytest.approx(8.0, rel=0.15) and np.abs(shift).max() < 16.01


def test_shapes_and_labels(exact, source):
    rows, _, genuine = source.draw(0, SIZE)
    assert 0 < genuine.sum() < SIZE
    assert exact.frame0.shape == exact.frame1.shape == (SIZE, 96, 96)
    assert exact.H_0to1.shape == (SIZE, 2, 3)
    assert exact.points0.shape == exact.points1.shape == (SIZE, 36, 2)
    np.testing.assert_array_equal(exact.genuine, genuine)
    np.testing.assert_array_equal(np.stack([exact.label0, exact.label1], 1), rows)
    assert not np.asarray(exact.valid)[~genuine].any()


def test_exact_alignment_leaves_elastic_distortion_only(exact, micro):
    """The cells of both frames lie on each other to a few pixels, on average without a shift."""
    centres = np.asarray(cell_centres(micro))
    # Set down by its side and by its end, a finger may show little of the same in two small frames.
    enough = np.asarray(exact.genuine) & (np.asarray(exact.valid).sum(1) >= 6)
    assert enough.sum() >= 2
    for pair in np.flatnonzero(enough):
        valid = np.asarray(exact.valid[pair])
        left = (np.asarray(exact.points1[pair]) - centres)[valid]
        assert np.linalg.norm(left, axis=1).max() < 8  # half a cell
        np.testing.assert_allclose(left.mean(0), 0, atol=0.5)


@pytest.mark.parametrize("which", ["exact", "disturbed"])
def test_both_directions_agree(which, micro, request):
    """Where image 0's cells lie in the drawn frame 1, and the reverse, are opposite shifts."""
    batch, centres = request.getfixturevalue(which), np.asarray(cell_centres(micro))
    for pair in np.flatnonzero(batch.genuine):
        there = np.asarray(batch.points1[pair]) - centres
        back = np.asarray(batch.points0[pair]) - centres
        valid = np.asarray(batch.valid[pair])
        # Exactly opposite but for how much the displacement changes over its own length: by a tenth
        # for skin, and by 0.16 + 2π · 3 / 130 for what a sweep adds at most.
        assert np.abs(there + back)[valid].max() < 0.4 * np.abs(there).max() + 0.5


def test_the_error_moves_the_cells_with_the_frame(exact, disturbed):
    """H with error is H without it after a small motion, and the cells move by its inverse."""
    np.testing.assert_array_equal(exact.frame0, disturbed.frame0)
    np.testing.assert_array_equal(exact.frame1, disturbed.frame1)
    for pair in np.flatnonzero(exact.genuine):
        motion = compose(invert(exact.H_0to1[pair]), disturbed.H_0to1[pair])
        angle = np.rad2deg(np.arctan2(motion[1, 0], motion[0, 0]))
        middle = apply(motion, jnp.full((1, 2), 47.5)) - 47.5
        assert 0 < abs(angle) <= 8.01 and 0 < np.abs(middle).max() <= 16.2
        moved = apply(invert(motion), exact.points1[pair])
        np.testing.assert_allclose(disturbed.points1[pair], moved, atol=0.02)


def test_a_batch_is_a_function_of_seed_and_index(source, exact):
    again = source.aligned(0, SIZE, NONE, 0.0)
    other = source.aligned(1, SIZE, NONE, 0.0)
    for one, same in zip(exact, again, strict=True):
        np.testing.assert_array_equal(one, same)
    assert not np.array_equal(exact.frame0, other.frame0)


def test_templates_come_two_by_two_of_one_finger(source, micro):
    """Print 0 of a genuine pair, twice, and then print 1 of it."""
    batch = source.aligned(0, SIZE, SOME, 1.0)
    centres = np.asarray(cell_centres(micro))
    assert np.asarray(batch.alone).all() and np.asarray(batch.genuine).all()
    for row in range(SIZE):
        np.testing.assert_array_equal(batch.frame1[row], batch.frame0[row])
        np.testing.assert_array_equal(batch.H_0to1[row], np.eye(2, 3))
        np.testing.assert_array_equal(batch.points0[row], centres)
        np.testing.assert_array_equal(batch.points1[row], centres)
        assert batch.valid[row].all() and batch.label0[row] == batch.label1[row]
    label = np.asarray(batch.label0)
    np.testing.assert_array_equal(label[::2], label[1::2])
    for row in range(0, SIZE, 2):
        assert not np.array_equal(batch.frame0[row], batch.frame0[row + 1])


def test_what_is_no_template_stays_as_it_was(source, disturbed):
    batch = next(
        made
        for made in (source.aligned(0, SIZE, SOME, ratio) for ratio in (0.3, 0.5, 0.7, 0.9))
        if 0 < np.asarray(made.alone).sum() < SIZE
    )
    rest = ~np.asarray(batch.alone)
    for own, before in zip(batch, disturbed, strict=True):
        np.testing.assert_array_equal(np.asarray(own)[rest], np.asarray(before)[rest])


def test_an_odd_last_row_is_no_template():
    alone = template_rows(np.random.default_rng(0), 5, 1.0)
    np.testing.assert_array_equal(alone, [True, True, True, True, False])
    share = template_rows(np.random.default_rng(0), 4000, 0.25)
    assert share.mean() == pytest.approx(0.25, abs=0.03)
    np.testing.assert_array_equal(share[::2], share[1::2])


def test_a_shift_lays_two_fingers_core_on_core(micro):
    params = [draw_impression(finger_key(0, finger), 1) for finger in (0, 1)]
    shape, centres = (64, 64), cell_centres(micro)
    same, valid = correspondence(*params, centres, shape, jnp.zeros(2))
    points, expected = correspondence(*params, centres, shape)
    np.testing.assert_allclose(same, points, atol=1e-3)
    np.testing.assert_array_equal(valid, expected)
    cores = jnp.array([[190.0, 230.0], [205.0, 221.0]])
    core0, core1 = (from_master(p, c, shape) for p, c in zip(params, cores, strict=True))
    moved, _ = correspondence(*params, core0[None], shape, cores[1] - cores[0])
    np.testing.assert_allclose(moved[0], core1, atol=0.01)


def test_hard_prints_are_aligned_by_their_exact_map(masters, micro):
    """The truth under an alignment is that of the same hard prints: their exact map, and back."""
    how = {"max_rotation": 40.0, "impostor_ratio": 0.0, "hard": 1.0, "zoom": (0.9, 1.1)}
    hard = SyntheticAligned(0, np.arange(4), masters, micro, **how)
    batch = hard.aligned(0, SIZE, NONE, 0.0)
    rows, impressions, _ = hard.draw(0, SIZE)
    draw = {"hard": 1.0, "zoom": (0.9, 1.1)}
    params = draw_pairs(0, jnp.asarray(rows), jnp.asarray(impressions), 40.0, **draw)
    centres = cell_centres(micro)
    for pair in range(SIZE):
        p0, p1 = (jax.tree.map(lambda a, i=pair: a[i], p) for p in params)
        points1, valid = correspondence(p0, p1, centres, (96, 96))
        np.testing.assert_array_equal(batch.valid[pair], valid)
        back = apply(batch.H_0to1[pair], batch.points1[pair])
        np.testing.assert_allclose(np.asarray(back)[valid], np.asarray(points1)[valid], atol=0.1)
