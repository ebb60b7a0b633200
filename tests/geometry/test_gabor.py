"""A pixel's own filter answers to its own wave."""

import jax.numpy as jnp

from ifvit.geometry.gabor import OFFSETS, apply_taps, gabor_taps


def test_taps_answer_to_their_own_wave_and_not_to_a_constant():
    theta, period = 0.7, 4.5
    y, x = jnp.meshgrid(jnp.arange(48.0), jnp.arange(48.0), indexing="ij")
    orientation, periods = jnp.full((48, 48), theta), jnp.full((48, 48), period)
    taps = gabor_taps(orientation, periods)
    assert taps.shape == (1 + len(OFFSETS), 48, 48)
    inner = (slice(10, -10), slice(10, -10))

    def strength(image):
        return float(jnp.abs(apply_taps(image, taps)[inner]).max())

    def wave(direction, wavelength):
        normal = y * jnp.cos(direction) - x * jnp.sin(direction)
        return jnp.cos(2 * jnp.pi * normal / wavelength)

    assert strength(jnp.ones((48, 48))) < 1e-5
    own = strength(wave(theta, period))
    assert own > 0.5
    assert strength(wave(theta + jnp.pi / 2, period)) < 0.1 * own
    assert strength(wave(theta, 2.2 * period)) < 0.6 * own
