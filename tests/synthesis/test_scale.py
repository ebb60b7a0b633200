"""How coarse ridges are: a zoomed print is the print enlarged, and periods are those asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.synthesis import correspondence, draw_impression, finger_key, render, to_master
from ifvit.synthesis.dataset import DatasetSpec, draw_print
from ifvit.synthesis.scale import PEOPLE_MM, PX_PER_MM, own_period, people_period
from ifvit.synthesis.sensor import frame_points

SHAPE = (256, 256)
KEYS = jax.vmap(lambda f: finger_key(0, f))(jnp.arange(2000))


def grid():
    return frame_points(SHAPE)[8:-8:9, 8:-8:9].reshape(-1, 2)


def zoomed(impression: int, factor: float):
    return draw_impression(finger_key(0, 0), impression)._replace(zoom=jnp.asarray(factor))


@pytest.mark.parametrize("factor", [0.6, 1.3])
def test_a_zoomed_print_is_the_print_enlarged_about_the_frames_centre(factor):
    centre = (SHAPE[0] - 1) / 2
    plain, larger = zoomed(0, 1.0), zoomed(0, factor)
    there = (grid() - centre) * factor + centre
    np.testing.assert_allclose(
        to_master(larger, there, SHAPE), to_master(plain, grid(), SHAPE), atol=1e-3
    )


def test_correspondence_scales_with_both_prints():
    centre = (SHAPE[0] - 1) / 2
    points1, valid = correspondence(zoomed(0, 1.0), zoomed(1, 1.0), grid(), SHAPE)
    there = (grid() - centre) * 0.7 + centre
    again, also = correspondence(zoomed(0, 0.7), zoomed(1, 0.7), there, SHAPE)
    np.testing.assert_allclose((points1 - centre) * 0.7 + centre, again, atol=0.01)
    assert also[valid].all()  # a smaller print fits the frame where the plain one does


def measured_period(image) -> float:
    """The period of the strongest frequency of a picture's middle, pixels."""
    patch = np.asarray(image)[64:192, 64:192]
    window = np.outer(np.hanning(128), np.hanning(128))
    power = np.abs(np.fft.fftshift(np.fft.fft2((patch - patch.mean()) * window, (512, 512)))) ** 2
    y, x = np.indices(power.shape) - 256
    radius = np.hypot(x, y)
    rings = np.arange(30, 130)
    profile = [power[(radius >= r) & (radius < r + 1)].sum() for r in rings]
    return 512 / np.average(rings + 0.5, weights=np.square(profile))


def test_rendered_ridges_have_the_period_that_was_asked_for(masters):
    one = jax.tree.map(lambda a: a[0], masters)
    plain = measured_period(render(one, zoomed(0, 1.0), SHAPE).relief)
    for factor in (0.7, 1.3):
        found = measured_period(render(one, zoomed(0, factor), SHAPE).relief)
        assert found / plain == pytest.approx(factor, rel=0.08)


def test_own_period_is_that_of_the_grown_master(masters):
    for finger in range(4):
        ridges = np.asarray(masters.ridges[finger], float)[112:368, 64:320]
        own = float(own_period(finger_key(0, finger)))
        assert measured_period(ridges) == pytest.approx(own, rel=0.12)


def test_a_finger_has_one_period_between_the_limits():
    spec = DatasetSpec(period_px=(5.5, 7.5))
    own = jax.jit(jax.vmap(own_period))(KEYS)
    zoom = jax.jit(jax.vmap(lambda f: draw_print(spec, f, 0).zoom))(jnp.arange(2000))
    period = np.asarray(zoom * own)
    assert 5.499 <= period.min() < 5.6 and 7.4 < period.max() <= 7.501
    assert np.median(period) == pytest.approx(np.sqrt(5.5 * 7.5), rel=0.02)
    assert draw_print(spec, 5, 0).zoom == draw_print(spec, 5, 3).zoom


def test_people_have_ridges_of_men_women_and_children():
    period = np.asarray(jax.jit(jax.vmap(people_period))(KEYS)) / PX_PER_MM
    assert PEOPLE_MM[0] <= period.min() < 0.30 and 0.53 < period.max() <= PEOPLE_MM[1]
    assert 0.40 < np.median(period) < 0.45
    assert 0.06 < (period < 0.36).mean() < 0.20  # children below ten, and few others


def test_a_plain_data_set_is_not_zoomed():
    assert (
        draw_print(DatasetSpec(), 5, 0).zoom == 1 and draw_print(DatasetSpec(), 5, 0).force is None
    )


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"hard": 1.5}, "a share of prints"),
        ({"period_px": (7.0, 6.0)}, "in order"),
        ({"period_px": (1.0, 6.0)}, "4 to 20"),
        ({"period_px": (5.5, 7.5), "people": True}, "give one"),
    ],
)
@pytest.mark.heavy
def test_what_cannot_be_drawn_is_refused(values, complaint):
    with pytest.raises(ValueError, match=complaint):
        DatasetSpec(**values)
