"""A pixel's own filter answers to its own wave."""

import jax
import jax.numpy as jnp
import numpy as np

from ifvit.geometry.gabor import OFFSETS, apply_taps, gabor_taps, oriented_filter


def test_taps_answer_to_their_own_wave_and_not_to_a_constant():
    theta, period = 0.7, 4.5
    y, x = np.meshgrid(
        np.arange(48, dtype=np.float32), np.arange(48, dtype=np.float32), indexing="ij"
    )
    orientation, periods = (
        np.full((48, 48), theta, np.float32),
        np.full((48, 48), period, np.float32),
    )
    taps = gabor_taps(orientation, periods)
    assert taps.shape == (1 + len(OFFSETS), 48, 48)
    inner = (slice(10, -10), slice(10, -10))

    def strength(image):
        return float(np.abs(apply_taps(image, taps)[inner]).max())

    def wave(direction, wavelength):
        normal = y * np.cos(direction) - x * np.sin(direction)
        return np.cos(2 * np.pi * normal / wavelength)

    assert strength(np.ones((48, 48), np.float32)) < 1e-5
    own = strength(wave(theta, period))
    assert own > 0.5
    assert strength(wave(theta + np.pi / 2, period)) < 0.1 * own
    assert strength(wave(theta, 2.2 * period)) < 0.6 * own


def test_rows_filtered_some_at_a_time_are_those_of_the_whole_in_jax():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 43, 30)).astype(np.float32)
    orientation = rng.uniform(0, np.pi, image.shape).astype(np.float32)
    period = rng.uniform(3, 6.5, image.shape).astype(np.float32)
    expected = jax.jit(oriented_filter)(*map(jnp.asarray, (image, orientation, period)))
    np.testing.assert_allclose(oriented_filter(image, orientation, period), expected, atol=1e-5)
