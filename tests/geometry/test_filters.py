"""The blur, and images reduced by the mean over blocks."""

import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.geometry.filters import _blur_matrix, gaussian_blur, gaussian_weight, shrink


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


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("sigma", [0.4, 2.0, 9.8, 13.8, 40.0])
def test_a_gaussian_ends_before_its_numbers_are_subnormal(sigma, kind):
    """With these a product takes fifteen times as long; what is cut off no sum shows."""
    weight = gaussian_weight(np.arange(600, dtype=kind), sigma)
    assert weight.dtype == kind
    shown, expected = weight > 0, np.exp(-0.5 * np.square(np.arange(600) / sigma))
    np.testing.assert_allclose(weight[shown], expected[shown], rtol=1e-4)
    assert expected[~shown].sum() < 1e-10
    for matrix in (weight.astype(np.float32), _blur_matrix(600, sigma)):
        assert matrix[matrix > 0].min() > 1e10 * np.finfo(np.float32).smallest_normal


def test_blur_keeps_a_constant():
    level = np.full((30, 40), 0.7, np.float32)
    np.testing.assert_allclose(gaussian_blur(level, 5.0), 0.7, rtol=1e-6)


def test_shrink_is_the_mean_over_blocks(library):
    image = library.arange(16.0).reshape(1, 4, 4)
    np.testing.assert_allclose(shrink(image, 2), [[[2.5, 4.5], [10.5, 12.5]]])
