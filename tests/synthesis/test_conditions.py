"""Hard impressions: what changes, what stays, and that nothing moves a ridge unknown to the map."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.synthesis import draw_impression, finger_key, from_master, render, to_master
from ifvit.synthesis.conditions import Strokes, covered, strip_shift
from ifvit.synthesis.sensor import frame_points

pytestmark = pytest.mark.heavy

SHAPE = (256, 256)


@pytest.fixture(scope="module")
def drawn():
    """Impressions 0 to 399 of finger 3: mild, four in ten hard, all hard."""

    def draw(share):
        one = lambda i: draw_impression(finger_key(0, 3), i, hard=share)  # noqa: E731
        return jax.jit(jax.vmap(one))(jnp.arange(400))

    return {share: draw(share) for share in (0.0, 0.4, 1.0)}


def quiet(params):
    """The same impression with no condition at all."""
    c = params.conditions
    amounts = {name: 0 * getattr(c, name) for name in ("drops", "dots", "flakes", "comb")}
    scars, marks = (s._replace(strength=0 * s.strength) for s in (c.scars, c.marks))
    still = c._replace(**amounts, scars=scars, marks=marks, strip_offset=0 * c.strip_offset)
    return params._replace(conditions=still)


def test_without_hard_prints_nothing_is_drawn_of_them(drawn):
    assert drawn[0.0].force is None and drawn[0.0].conditions is None


def test_mild_prints_stay_what_they_are_beside_hard_ones(drawn):
    # Whoever is under force when all are hard, and is not when four in ten are, is mild then.
    forced = np.asarray(drawn[1.0].force.firmness > 0)
    mild = forced & np.asarray(drawn[0.4].force.firmness == 0)
    assert 0.55 < mild.mean() / forced.mean() < 0.65
    for name in set(drawn[0.0]._fields) - {"force", "conditions", "noise_key"}:
        before, beside = (np.asarray(getattr(drawn[share], name)) for share in (0.0, 0.4))
        np.testing.assert_array_equal(before[mild], beside[mild])


def test_each_condition_is_drawn_now_and_then(drawn):
    c = drawn[1.0].conditions
    sweeps = np.asarray(drawn[1.0].sensor == 2)
    strips = np.asarray(jnp.abs(c.strip_offset).max(-1) > 0)
    assert strips[sweeps].mean() > 0.3 and not strips[~sweeps].any()
    for amount in (c.drops, c.dots, c.flakes, c.comb, jnp.abs(c.marks.strength).max(-1)):
        assert 0.08 < (np.asarray(amount) > 0).mean() < 0.5
    assert jnp.abs(c.strip_offset).max() <= 3 and c.comb.max() <= 1


def test_scars_of_the_finger_stay_where_they_are():
    """The same on the finger in all its hard impressions; on about one finger in three."""
    draw = jax.jit(jax.vmap(lambda f, i: draw_impression(finger_key(0, f), i, hard=1.0)))
    fingers = jnp.arange(120)
    first, second = (draw(fingers, jnp.full(120, i)).conditions.scars for i in (0, 1))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one[:, :2], other[:, :2])
        assert not np.array_equal(one[:, 2], other[:, 2]) or one is first.soft
    scarred = np.asarray(first.strength[:, :2].max(-1))
    assert 0.2 < scarred.mean() < 0.5


def test_marks_stay_in_the_frame_of_their_sensor(drawn):
    marks, sensor = drawn[1.0].conditions.marks, np.asarray(drawn[1.0].sensor)
    for kind in range(3):
        centres = np.asarray(marks.centre)[sensor == kind]
        np.testing.assert_array_equal(centres, np.broadcast_to(centres[:1], centres.shape))


def test_a_stroke_covers_its_middle_and_not_beyond_its_ends():
    arrays = [jnp.asarray([value]) for value in (0.0, 40.0, 3.0, 0.0, 1.0, 1.0)]
    stroke = Strokes(jnp.array([[100.0, 100.0]]), *arrays)
    points = jnp.array([[100.0, 100.0], [100.0, 108.0], [145.0, 100.0], [300.0, 100.0]])
    np.testing.assert_array_equal(covered(stroke, points), [1, 0, 0, 0])


def test_a_scar_is_seen_at_the_same_place_of_the_finger(masters):
    one = jax.tree.map(lambda a: a[0], masters)
    for impression in (0, 1):
        still = quiet(draw_impression(finger_key(0, 0), impression, hard=1.0))
        middle = jnp.array([[191.5, 239.5]])
        scars = Strokes(
            jnp.broadcast_to(middle, (3, 2)),
            jnp.zeros(3),
            jnp.full(3, 30.0),
            jnp.full(3, 5.0),
            jnp.zeros(3),
            jnp.array([1.0, 0, 0]),
            jnp.ones(3),
        )
        cut = still._replace(conditions=still.conditions._replace(scars=scars))
        before, after = (render(one, params, SHAPE).image for params in (still, cut))
        lighter = np.asarray(after - before) > 0.15
        on_finger = np.asarray(to_master(cut, frame_points(SHAPE), SHAPE))[lighter]
        assert lighter.sum() > 20
        assert (np.abs(on_finger - np.asarray(middle)) < [32, 7]).all()


def test_strips_are_part_of_the_exact_map(drawn):
    chosen = int(np.argmax(jnp.abs(drawn[1.0].conditions.strip_offset).max(-1)))
    params = jax.tree.map(lambda a: a[chosen], drawn[1.0])
    points = frame_points(SHAPE)[3:-3:6, 3:-3:6].reshape(-1, 2)
    centre = (SHAPE[0] - 1) / 2
    shift = strip_shift(params.conditions, points - centre)
    assert jnp.abs(shift[:, 0]).max() > 0.5 and (shift[:, 1] == 0).all()
    straight = params._replace(
        conditions=params.conditions._replace(strip_offset=jnp.zeros_like(shift[:1, 0]))
    )
    np.testing.assert_allclose(
        to_master(params, points, SHAPE), to_master(straight, points + shift, SHAPE), atol=1e-3
    )
    back = from_master(params, to_master(params, points, SHAPE), SHAPE)
    assert jnp.abs(back - points).max() < 0.01


def test_hard_looks_move_no_ridge(masters, drawn):
    """Dark where the relief is high at zero shift, in a hard print of each sensor."""
    one = jax.tree.map(lambda a: a[0], masters)
    for index in (0, 1, 2, 3, 4, 5):
        params = jax.tree.map(lambda a, i=index: a[i], drawn[1.0])
        made = render(one, params._replace(offset=jnp.zeros(2)), SHAPE)
        inside = np.array(made.contact)[20:-20, 20:-20]
        relief = np.array(made.relief)[20:-20, 20:-20][inside]

        def agreement(dx, dy, made=made, inside=inside, relief=relief):
            image = np.roll(np.array(made.image), (dy, dx), (0, 1))[20:-20, 20:-20][inside]
            return -np.corrcoef(image, relief)[0, 1]

        shifts = [(dx, dy) for dx in (-2, -1, 0, 1, 2) for dy in (-2, -1, 0, 1, 2)]
        best = max(shifts, key=lambda s: agreement(*s))
        assert max(map(abs, best)) <= 1, (index, best)
