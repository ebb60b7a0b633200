"""Masters depend on (seed, finger), look like ridges, and have their classes' singularities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.synthesis import draw_impression, finger_key, make_masters
from ifvit.synthesis.master import MASTER_SHAPE
from ifvit.synthesis.orientation import (
    CLASS_FREQUENCY,
    CLASSES,
    draw_flow,
    orientation_field,
    period_field,
)


@pytest.mark.heavy
def test_a_master_depends_on_seed_and_finger_alone(masters):
    again = make_masters(0, jnp.array([2, 0, 3, 1]))
    np.testing.assert_array_equal(masters.ridges[2], again.ridges[0])
    other_seed = make_masters(1, jnp.arange(4))
    assert (np.asarray(other_seed.ridges[0]) != np.asarray(masters.ridges[0])).mean() > 0.9


def test_an_impression_depends_on_its_number_alone():
    key = finger_key(0, 5)
    one, same, other = (draw_impression(key, i) for i in (3, 3, 4))
    np.testing.assert_array_equal(one.offset, same.offset)
    assert not np.array_equal(one.offset, other.offset)


def test_ridges_have_the_period_that_was_asked_for(masters):
    """The strongest frequency of each master lies in the range of human ridges at 500 ppi."""
    assert masters.ridges.shape[1:] == MASTER_SHAPE
    for ridges in np.asarray(masters.ridges, float):
        patch = ridges[120:376, 64:320] * np.outer(np.hanning(256), np.hanning(256))
        power = np.abs(np.fft.fftshift(np.fft.fft2(patch))) ** 2
        y, x = np.indices(power.shape) - 128
        radius = np.hypot(x, y)
        profile = [power[(radius >= r) & (radius < r + 1)].sum() for r in range(10, 80)]
        period = 256 / (10.5 + int(np.argmax(profile)))
        assert 7.0 < period < 12.0


def test_half_of_the_skin_is_ridge(masters):
    for ridges in np.asarray(masters.ridges, int):
        assert 0.4 < (ridges > 0).mean() < 0.6


def test_classes_are_drawn_with_their_natural_frequencies():
    assert sum(CLASS_FREQUENCY) == pytest.approx(1.0)
    keys = jax.vmap(lambda f: finger_key(0, f))(jnp.arange(4000))
    drawn = jax.jit(jax.vmap(lambda k: draw_flow(k).pattern))(keys)
    counts = np.bincount(np.asarray(drawn), minlength=len(CLASSES)) / 4000
    np.testing.assert_allclose(counts, CLASS_FREQUENCY, atol=0.03)


field_of = jax.jit(orientation_field)
flow_of = jax.jit(lambda seed, finger: draw_flow(finger_key(seed, finger)), static_argnums=0)


def poincare(flow, centre, radius=0.15):
    """Return the turns of the orientation along a small circle: ½ at a loop, -½ at a delta."""
    around = jnp.linspace(0, 2 * jnp.pi, 721)
    # y down: a mathematically positive walk runs against the image's y axis.
    x = centre[0] + radius * jnp.cos(around)
    y = centre[1] - radius * jnp.sin(around)
    theta = -field_of(flow, x[None], y[None])[0]
    steps = jnp.diff(theta)
    steps = (steps + jnp.pi / 2) % jnp.pi - jnp.pi / 2
    return float(steps.sum() / (2 * jnp.pi))


@pytest.mark.parametrize("finger", range(12))
def test_loops_and_deltas_turn_the_field_by_half_a_turn(finger):
    flow = flow_of(1, finger)
    expected = {0: 0, 1: 1, 2: 1, 3: 1, 4: 2, 5: 2}[int(flow.pattern)]
    present = [p for p in flow.loops if abs(p[1]) < 100]
    assert len(present) == expected
    for loop in present:
        assert poincare(flow, loop) == pytest.approx(0.5, abs=0.01)
    for delta in [p for p in flow.deltas if abs(p[1]) < 100]:
        assert poincare(flow, delta) == pytest.approx(-0.5, abs=0.01)


def test_period_field_stays_human():
    period_of = jax.jit(period_field)
    y, x = jnp.meshgrid(jnp.linspace(-12, 12, 40), jnp.linspace(-9, 9, 30), indexing="ij")
    for finger in range(20):
        period = period_of(flow_of(2, finger), x, y)
        assert period.min() > 0.3 and period.max() < 0.75
