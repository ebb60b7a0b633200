"""The maps between impressions are exact: geometry against itself and against the ridges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.geometry.warp import sample
from ifvit.synthesis import (
    correspondence,
    draw_impression,
    finger_key,
    from_master,
    render,
    to_master,
)
from ifvit.synthesis.draw import SENSORS
from ifvit.synthesis.sensor import frame_points

SHAPE = (256, 256)
SEED = 0
"""That of the masters, which all tests share."""


@pytest.fixture(scope="module")
def two_impressions(masters):
    """Two impressions of finger 0, turned against each other by up to 60 degrees."""
    key = finger_key(SEED, 0)
    params = [draw_impression(key, i, 30.0) for i in (0, 1)]
    one = jax.tree.map(lambda a: a[0], masters)
    return params, [render(one, p, SHAPE) for p in params]


def grid():
    return frame_points(SHAPE)[8:-8:5, 8:-8:5].reshape(-1, 2)


@pytest.mark.parametrize("impression", range(4))
@pytest.mark.heavy
def test_from_master_inverts_to_master(impression):
    params = draw_impression(finger_key(SEED, 7), impression, 60.0)
    back = from_master(params, to_master(params, grid(), SHAPE), SHAPE)
    assert jnp.abs(back - grid()).max() < 0.01


def test_a_sweep_moves_skin_along_the_finger_alone_and_can_be_undone():
    """As strong as it is ever drawn."""
    still = draw_impression(finger_key(SEED, 7), 0, 0.0)._replace(
        sweep_stretch=jnp.zeros(()), sweep_wave=jnp.zeros(())
    )
    swept = still._replace(
        sweep_stretch=jnp.asarray(-0.16),
        sweep_wave=jnp.asarray(3.0),
        sweep_phase=jnp.asarray(1.0),
    )
    moved = to_master(swept, grid(), SHAPE) - to_master(still, grid(), SHAPE)
    along = jnp.array([-jnp.sin(still.rotation), jnp.cos(still.rotation)])
    assert jnp.abs(moved - (moved @ along)[:, None] * along).max() < 1e-3
    assert jnp.abs(moved @ along).max() > 15
    back = from_master(swept, to_master(swept, grid(), SHAPE), SHAPE)
    assert jnp.abs(back - grid()).max() < 0.05


def test_only_thermal_sensors_sweep():
    drawn = [draw_impression(finger_key(SEED, 3), i) for i in range(24)]
    for params in drawn:
        sweeps = SENSORS[int(params.sensor)] == "thermal"
        assert (float(params.sweep_stretch) != 0) == (float(params.sweep_wave) != 0) == sweeps


def test_sweat_fills_valleys_where_it_gathers(masters):
    one = jax.tree.map(lambda a: a[0], masters)
    dry = draw_impression(finger_key(SEED, 0), 0)._replace(wet=jnp.zeros(()))
    wet = dry._replace(wet=jnp.asarray(1.5), wet_centre=jnp.zeros(2), wet_radius=jnp.asarray(30.0))
    before, after = (render(one, params, SHAPE).image for params in (dry, wet))
    middle, rim = np.s_[108:148, 108:148], np.s_[:40, :]
    assert before[middle].mean() - after[middle].mean() > 0.2
    np.testing.assert_allclose(before[rim], after[rim], atol=0.05)


def test_there_and_back_is_the_identity_to_a_fraction_of_a_pixel(two_impressions):
    (params0, params1), _ = two_impressions
    points1, valid = correspondence(params0, params1, grid(), SHAPE)
    back, _ = correspondence(params1, params0, points1, SHAPE)
    assert valid.sum() > 300
    assert jnp.linalg.norm(back - grid(), axis=-1)[valid].max() < 0.02


def test_corresponding_points_show_the_same_ridge_phase(two_impressions):
    (params0, params1), (made0, made1) = two_impressions
    points0 = grid()
    points1, valid = correspondence(params0, params1, points0, SHAPE)
    relief0, relief1 = sample(made0.relief, points0)[valid], sample(made1.relief, points1)[valid]
    assert np.corrcoef(relief0, relief1)[0, 1] > 0.97
    # The same check must fail for a map that is off by half a ridge.
    shifted = sample(made1.relief, points1 + jnp.array([3.0, 3.0]))[valid]
    assert np.corrcoef(relief0, shifted)[0, 1] < 0.5


@pytest.mark.heavy
def test_a_turned_print_is_the_print_turned(masters, two_impressions):
    """By a quarter, the frame's pixels come to lie on pixels: relief and contact just rotate."""
    (params, _), (made, _) = two_impressions
    turned = params._replace(turn=jnp.asarray(jnp.pi / 2))
    q = grid() - (SHAPE[0] - 1) / 2
    there = jnp.stack([-q[:, 1], q[:, 0]], axis=-1) + (SHAPE[0] - 1) / 2
    np.testing.assert_allclose(
        to_master(turned, grid(), SHAPE), to_master(params, there, SHAPE), atol=1e-3
    )
    back = from_master(turned, to_master(turned, grid(), SHAPE), SHAPE)
    assert jnp.abs(back - grid()).max() < 0.01
    again = render(jax.tree.map(lambda a: a[0], masters), turned, SHAPE)
    assert np.abs(again.relief - np.rot90(made.relief)).max() < 0.01
    assert (np.asarray(again.contact) != np.rot90(made.contact)).mean() < 1e-3


def test_the_sensor_moves_no_ridge(two_impressions):
    """What the sensor reads lies where the relief is: dark where it is high, at zero shift."""
    _, (made0, _) = two_impressions
    inside = np.array(made0.contact)[20:-20, 20:-20]
    relief = np.array(made0.relief)[20:-20, 20:-20][inside]

    def agreement(dx, dy):
        image = np.roll(np.array(made0.image), (dy, dx), (0, 1))[20:-20, 20:-20][inside]
        return -np.corrcoef(image, relief)[0, 1]

    shifts = [(dx, dy) for dx in (-2, -1, 0, 1, 2) for dy in (-2, -1, 0, 1, 2)]
    assert max(shifts, key=lambda s: agreement(*s)) == (0, 0)
    assert agreement(0, 0) > 0.5


def test_impostors_do_not_agree(masters, two_impressions):
    (params0, params1), (made0, _) = two_impressions
    other = render(jax.tree.map(lambda a: a[1], masters), params1, SHAPE)
    points1, valid = correspondence(params0, params1, grid(), SHAPE)
    relief0, relief1 = sample(made0.relief, grid())[valid], sample(other.relief, points1)[valid]
    assert abs(np.corrcoef(relief0, relief1)[0, 1]) < 0.3
