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


def test_what_numpy_leaves_out_is_only_what_the_mask_does():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 43, 30)).astype(np.float32)
    orientation = rng.uniform(0, np.pi, image.shape).astype(np.float32)
    period = rng.uniform(3, 6.5, image.shape).astype(np.float32)
    mask = np.zeros(image.shape, bool)
    mask[0, 19:37, 4:25] = mask[1, 22:43, 11:] = True
    mask[0, 20, 9] = False
    given = image, orientation, period, mask
    expected = jax.jit(oriented_filter)(*map(jnp.asarray, given))
    made = oriented_filter(*given)
    np.testing.assert_allclose(made, expected, atol=1e-5)
    assert made[mask].all() and not made[~mask].any()
    whole = oriented_filter(image, orientation, period, np.ones_like(mask))
    np.testing.assert_allclose(made, np.where(mask, whole, 0), atol=1e-6)
