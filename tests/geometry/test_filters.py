"""The blur, and images reduced by the mean over blocks."""

import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.geometry.filters import gaussian_blur, shrink


@pytest.fixture(scope="module", params=[np, jnp], ids=["numpy", "jax"])
def library(request):
    """Prints in use are NumPy's, those of training JAX's: one formula for both."""
    return request.param


def test_blur_equals_the_formula(library):
    """A weighted mean with Gaussian weights, over the pixels that there are."""
    image = np.random.default_rng(1).normal(size=(2, 20, 31))
    sigma = 2.5
    blurred = gaussian_blur(library.asarray(image, dtype=np.float32), sigma)
    y, x = np.mgrid[:20, :31]
    for row, column in ((0, 0), (10, 15), (19, 4)):
        weight = np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * sigma**2))
        expected = (image * weight).sum((1, 2)) / weight.sum()
        np.testing.assert_allclose(blurred[:, row, column], expected, atol=2e-6)


def test_blur_keeps_a_constant():
    level = np.full((30, 40), 0.7, np.float32)
    np.testing.assert_allclose(gaussian_blur(level, 5.0), 0.7, rtol=1e-6)


def test_shrink_is_the_mean_over_blocks(library):
    image = library.arange(16.0).reshape(1, 4, 4)
    np.testing.assert_allclose(shrink(image, 2), [[[2.5, 4.5], [10.5, 12.5]]])
