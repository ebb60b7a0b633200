"""Foreground and local contrast normalisation."""

import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.features.normalise import contrast, foreground, normalise

PPI = 250
SIDE = 96


def ridges(amplitude: float = 0.45, level: float = 0.5) -> np.ndarray:
    """Slanting ridges of a period of 4.5 pixels over the whole (1, SIDE, SIDE) image."""
    y, x = np.mgrid[:SIDE, :SIDE]
    wave = np.sin(2 * np.pi * (0.8 * x + 0.6 * y) / 4.5)
    return (level + amplitude * wave).astype(np.float32)[None]


def half() -> np.ndarray:
    """Ridges on the left half, white on the right."""
    return np.where(np.arange(SIDE) < SIDE // 2, ridges(), np.float32(1.0))


def shown(image):
    """The foreground by the image's own contrast."""
    return foreground(contrast(image, PPI), PPI)


@pytest.fixture(scope="module", params=[np, jnp], ids=["numpy", "jax"])
def library(request):
    """Prints in use are NumPy's, those of training JAX's: one formula for both."""
    return request.param


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_blank_image_has_no_foreground(library, level):
    image = library.full((2, SIDE, SIDE), level, np.float32)
    mask = shown(image)
    assert mask.shape == image.shape and not mask.any()
    assert not normalise(image, mask, contrast(image, PPI)).any()


def test_faint_noise_is_no_foreground():
    noise = 0.9 + 0.01 * np.random.default_rng(0).normal(size=(1, SIDE, SIDE))
    assert not shown(noise.astype(np.float32)).any()


@pytest.mark.parametrize("amplitude", [0.45, 0.06])
def test_foreground_is_the_half_with_ridges(library, amplitude):
    """Faint ridges on their own grey background, too: the threshold is the print's own."""
    left = np.arange(SIDE) < SIDE // 2
    image = np.where(left, ridges(amplitude), np.float32(0.5))
    mask = np.asarray(shown(library.asarray(image)))[0]
    # The window's standard deviation is 7 pixels; strong ridges spread further than weak ones.
    assert mask[:, : SIDE // 2 - 3].all() and not mask[:, SIDE // 2 + 12 :].any()


def test_foreground_treats_each_image_on_its_own():
    both = np.concatenate([half(), half()[:, :, ::-1]])
    mask = shown(both)
    np.testing.assert_array_equal(mask[0], np.asarray(shown(both[:1]))[0])
    np.testing.assert_array_equal(mask[1], mask[0][:, ::-1])


@pytest.mark.parametrize(("amplitude", "level"), [(0.45, 0.5), (0.2, 0.7)])
def test_ridges_have_mean_0_and_deviation_1_whatever_their_contrast(library, amplitude, level):
    image = library.asarray(ridges(amplitude, level))
    out = np.asarray(normalise(image, library.ones(image.shape, bool), contrast(image, PPI)))
    inner = out[0, 12:-12, 12:-12]
    assert abs(inner.mean()) < 0.02
    # The floor under the deviation, 0.03, takes its share: more of weak ridges.
    deviation = amplitude / np.sqrt(2)
    assert inner.std() == pytest.approx(deviation / (deviation + 0.03), abs=0.03)
    assert np.abs(out).max() <= 3


def test_nothing_outside_the_foreground():
    image = half()
    out = normalise(image, shown(image), contrast(image, PPI))
    assert not out[0, :, SIDE // 2 + 12 :].any()
