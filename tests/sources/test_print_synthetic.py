"""Synthetic prints: their exact poses, the view in them, and which cells correspond."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.features.pose import core_place
from ifvit.geometry.grid import cell_centres, nearest_cell
from ifvit.geometry.transforms import apply, invert, similarity
from ifvit.sources.posed import PoseError, erring
from ifvit.sources.print_synthetic import SyntheticPrints, draw_prints, true_pose
from ifvit.synthesis import correspondence, to_master

SIZE, SIDE = 4, 96
NONE = PoseError(0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def params(masters):
    """Two impressions of each of two fingers, and whose."""
    finger, impression = jnp.array([0, 0, 1, 1]), jnp.arange(4)
    return draw_prints(0, finger, impression, 0.0, (1.0, 1.0)), np.array([0, 0, 1, 1])


def of(params, index: int):
    return jax.tree.map(lambda a: a[index], params)


@pytest.fixture(scope="module")
def exact(masters, micro):
    return SyntheticPrints(0, np.arange(4), masters, micro, error=NONE)


@pytest.fixture(scope="module")
def batch(exact):
    return exact.batch(0, SIZE)


def test_the_core_of_a_pose_is_that_of_the_master(params, masters):
    drawn, fingers = params
    for index, finger in enumerate(fingers):
        pose = true_pose(of(drawn, index), masters.core[finger], SIDE)
        back = to_master(of(drawn, index), pose.core, (SIDE, SIDE))
        np.testing.assert_allclose(back, masters.core[finger], atol=0.02)


@pytest.mark.parametrize("degrees", [30.0, -75.0])
def test_a_print_that_is_turned_has_its_pose_turned(params, masters, degrees):
    drawn, fingers = params
    one, core = of(drawn, 0), masters.core[fingers[0]]
    before = true_pose(one, core, SIDE)
    after = true_pose(one._replace(turn=one.turn + np.deg2rad(degrees)), core, SIDE)
    turned = np.rad2deg(np.angle(np.exp(1j * (after.rotation - before.rotation))))
    assert abs(turned) == pytest.approx(abs(degrees), abs=0.01)
    about_middle = similarity(float(turned), ((SIDE - 1) / 2, (SIDE - 1) / 2))
    np.testing.assert_allclose(after.core, apply(about_middle, np.asarray(before.core)), atol=0.01)


def test_an_upright_print_has_no_rotation(params, masters):
    """Neither the finger's own roll nor the frame's turn: what is left is the skin's bend."""
    drawn, fingers = params
    zero = jnp.zeros(())
    still = of(drawn, 0)._replace(turn=zero, rotation=zero)
    pose = true_pose(still, masters.core[fingers[0]], SIDE)
    assert abs(np.rad2deg(pose.rotation)) < 10


@pytest.mark.heavy
def test_shapes_and_labels(batch, exact):
    rows, _ = exact.draw(0, SIZE)
    np.testing.assert_array_equal(rows[::2], rows[1::2])
    assert len(set(rows.tolist())) == 2
    np.testing.assert_array_equal(batch.label, rows)
    assert batch.loose.shape == batch.posed.shape == (SIZE, 48, 48)
    assert batch.loose_mask.shape == batch.posed_mask.shape == (SIZE, 6, 6)
    assert batch.pose.core.shape == (SIZE, 2) and batch.pose.rotation.shape == (SIZE,)
    assert batch.matches0.shape == (SIZE // 2, 36)


def laid_of(source, index: int, pose):
    """The transforms that a batch was drawn by."""
    keys = jax.random.split(jax.random.fold_in(jax.random.key(source.seed), index), SIZE)
    return jax.vmap(lambda key, one: erring(key, one, source.error, SIDE))(keys, pose)


@pytest.mark.heavy
def test_a_posed_print_has_its_core_at_its_place(batch, exact):
    """Exact without an error."""
    place = jnp.array([core_place(SIDE)])
    for H, core in zip(laid_of(exact, 0, batch.pose), batch.pose.core, strict=True):
        np.testing.assert_allclose(apply(H, place)[0], core, atol=0.01)


@pytest.mark.parametrize("error", [NONE, PoseError()])
@pytest.mark.heavy
def test_matches_are_those_of_the_exact_map(masters, micro, error):
    """Cell by cell: out of the pose, over to the other print, and into its pose."""
    source = SyntheticPrints(0, np.arange(4), masters, micro, error=error)
    made = source.batch(1, SIZE)
    rows, impressions = source.draw(1, SIZE)
    drawn = draw_prints(0, jnp.asarray(rows), jnp.asarray(impressions), 0.0, (1.0, 1.0))
    laid, centres, found = laid_of(source, 1, made.pose), cell_centres(micro), 0
    for pair in range(SIZE // 2):
        first, second = 2 * pair, 2 * pair + 1
        there, valid = correspondence(
            of(drawn, first), of(drawn, second), apply(laid[first], centres), (SIDE, SIDE)
        )
        target = nearest_cell(apply(invert(laid[second]), there), micro)
        matched = np.asarray(made.matches0[pair]) >= 0
        np.testing.assert_array_equal(made.matches0[pair][matched], target[matched])
        assert np.asarray(valid)[matched].all()
        assert np.asarray(made.posed_mask[first]).reshape(-1)[matched].all()
        found += matched.sum()
    assert found >= 8


@pytest.mark.heavy
def test_in_their_poses_prints_of_a_finger_lie_on_each_other(batch):
    """Without an error, all but the skin's distortion: within a cell."""
    matches0 = np.asarray(batch.matches0)
    pair, cell = np.nonzero(matches0 >= 0)
    target = matches0[pair, cell]
    assert np.abs(target // 6 - cell // 6).max() <= 1
    assert np.abs(target % 6 - cell % 6).max() <= 1


@pytest.mark.heavy
def test_a_batch_is_a_function_of_seed_and_index(exact, batch):
    again, other = exact.batch(0, SIZE), exact.batch(2, SIZE)
    for one, same in zip(jax.tree.leaves(batch), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, same)
    assert not np.array_equal(batch.loose, other.loose)
