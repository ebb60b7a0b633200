"""Skin under force: never folded, undone to a hundredth of a pixel, as strong as was asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.geometry.warp import sample
from ifvit.synthesis import correspondence, draw_impression, finger_key, from_master, render, skin
from ifvit.synthesis.draw import lipschitz
from ifvit.synthesis.impression import to_master
from ifvit.synthesis.sensor import frame_points
from ifvit.synthesis.skin import (
    MOST_MILD,
    MOST_SPREAD,
    MOST_STRAIN,
    Force,
    draw_force,
    strain_bound,
)

# As wholes: operation by operation they take half a minute to compile.
follows, forced, released = map(jax.jit, (skin.follows, skin.forced, skin.released))

SHAPE = (320, 320)
HARD = jnp.asarray(True)


def grid(step: int = 16):
    return frame_points(SHAPE)[4:-4:step, 4:-4:step].reshape(-1, 2)


def strongest(twist: float = 0.0, pull: tuple[float, float] = (0.0, 0.0), spread: float = 0.0):
    return Force(
        pull=jnp.array(pull),
        twist=jnp.deg2rad(twist),
        centre=jnp.array([10.0, -30.0]),
        radii=jnp.array([50.0, 60.0]),
        plasticity=jnp.asarray(3.0),
        spread=jnp.asarray(spread),
        firmness=jnp.zeros(()),
    )


@pytest.fixture(scope="module")
def forces():
    """A thousand draws under force."""
    keys = jax.random.split(jax.random.key(7), 1000)
    return jax.jit(jax.vmap(lambda key: draw_force(key, HARD)))(keys)


@pytest.fixture(scope="module")
def hard_prints():
    """Four hundred hard impressions, of all sensors."""
    draw = jax.vmap(lambda f: draw_impression(finger_key(0, f), f, 30.0, hard=1.0))
    return jax.jit(draw)(jnp.arange(400))


def singular_values(jacobian):
    """Largest and smallest singular values of 2×2 matrices, in closed form."""
    square = jnp.square(jacobian).sum((-2, -1))
    det = jacobian[..., 0, 0] * jacobian[..., 1, 1] - jacobian[..., 0, 1] * jacobian[..., 1, 0]
    both, apart = jnp.sqrt(square + 2 * det), jnp.sqrt(jnp.maximum(square - 2 * det, 0))
    return (both + apart) / 2, (both - apart) / 2


def test_force_never_folds_skin_and_is_undone(forces):
    q = grid() - 159.5

    def one(force):
        largest, smallest = singular_values(jax.vmap(jax.jacfwd(lambda p: forced(force, p)))(q))
        off = jnp.linalg.norm(released(force, forced(force, q)) - q, axis=-1)
        return largest.max(), smallest.min(), off.max()

    largest, smallest, off = jax.jit(lambda all: jax.lax.map(one, all, batch_size=100))(forces)
    assert smallest.min() >= (1 - MOST_STRAIN) * (1 - MOST_SPREAD)
    assert largest.max() < 1.8
    assert off.max() < 0.01


@pytest.mark.heavy
def test_no_hard_impression_folds_and_each_can_be_undone(hard_prints):
    """The whole map, sweeps and bumps included; strips move rows as wholes, and fold none."""
    flat = hard_prints._replace(
        conditions=hard_prints.conditions._replace(
            strip_offset=0 * hard_prints.conditions.strip_offset
        )
    )

    def one(params):
        there = lambda p: to_master(params, p, SHAPE)  # noqa: E731
        smallest = singular_values(jax.vmap(jax.jacfwd(there))(grid()))[1]
        off = jnp.linalg.norm(from_master(params, there(grid()), SHAPE) - grid(), axis=-1)
        return smallest.min(), off.max()

    smallest, off = jax.jit(lambda all: jax.lax.map(one, all, batch_size=50))(flat)
    assert smallest.min() > 0.35
    assert off.max() < 0.01


@pytest.mark.heavy
def test_what_bends_skin_beside_force_is_bounded(hard_prints):
    assert jax.vmap(lipschitz)(hard_prints).max() <= MOST_MILD + 1e-5


def test_pulls_and_twists_are_as_strong_as_those_of_real_prints(forces):
    pull = np.linalg.norm(forces.pull, axis=-1)
    twist = np.rad2deg(np.abs(forces.twist))
    assert 45 < pull.max() <= 60 and 18 < twist.max() <= 25.01
    assert 0.1 < (np.maximum(pull, twist) == 0).mean() < 0.35
    pulled = np.asarray(forces.pull)[pull > 10]
    assert (np.abs(pulled[:, 1]) > np.abs(pulled[:, 0])).mean() > 0.75  # mostly along the finger
    bounds = jax.vmap(strain_bound)(forces)
    assert bounds.max() <= MOST_STRAIN + 1e-5

    def span(force):
        q = (grid() - 159.5) * jnp.array([0.65, 0.8])
        moved = forced(force, q) - q
        return jnp.linalg.norm(moved.max(0) - moved.min(0))

    spans = np.asarray(jax.lax.map(span, forces))
    assert 20 < np.median(spans) < 50 and np.percentile(spans, 90) > 45


def test_skin_sticks_inside_and_follows_far_outside():
    force = strongest(pull=(3.0, 40.0))
    inside, outside = jnp.array([[10.0, -30.0], [40.0, -20.0]]), jnp.array([[10.0, 250.0]])
    np.testing.assert_allclose(forced(force, inside), inside, atol=1e-4)
    np.testing.assert_allclose(forced(force, outside), outside + force.pull, atol=1e-3)
    along = jnp.stack([jnp.full(60, 10.0), jnp.linspace(-30.0, 250.0, 60)], -1)
    brake = follows(force, along)
    assert brake[0] == 0 and brake[-1] == 1 and (jnp.diff(brake) >= 0).all()


def test_pressure_spreads_ridges_and_a_pull_stretches_them():
    """Points a ridge apart on the finger lie further apart in the frame."""
    for force, least in ((strongest(spread=0.13), 1.14), (strongest(pull=(0.0, 40.0)), 1.25)):
        line = jnp.stack([jnp.full(400, 10.0), jnp.linspace(-160.0, 160.0, 400)], -1)
        apart = jnp.diff(forced(force, line)[:, 1]) / jnp.diff(line[:, 1])
        assert 1 / apart.min() > least


def test_without_force_nothing_moves():
    still = jax.tree.map(jnp.zeros_like, strongest())._replace(
        radii=jnp.ones(2), plasticity=jnp.ones(())
    )
    q = grid() - 159.5
    np.testing.assert_allclose(forced(still, q), q, atol=1e-4)
    np.testing.assert_allclose(released(still, q), q, atol=1e-4)


@pytest.mark.heavy
def test_ridges_agree_where_the_exact_map_says_so(masters):
    """Two hard impressions of one finger show the same phase of ridges at corresponding points."""
    one = jax.tree.map(lambda a: a[0], masters)
    numbers = [i for i in range(40) if jnp.linalg.norm(hard(i).force.pull) > 20][:2]
    params0, params1 = (hard(i)._replace(offset=jnp.zeros(2)) for i in numbers)
    points1, valid = correspondence(params0, params1, grid(5), SHAPE)
    relief0 = sample(render(one, params0, SHAPE).relief, grid(5))[valid]
    relief1 = sample(render(one, params1, SHAPE).relief, points1)[valid]
    assert valid.sum() > 400
    assert np.corrcoef(relief0, relief1)[0, 1] > 0.95


def hard(impression: int):
    params = draw_impression(finger_key(0, 0), impression, 20.0, hard=1.0)
    return params._replace(conditions=params.conditions._replace(comb=jnp.zeros(())))
