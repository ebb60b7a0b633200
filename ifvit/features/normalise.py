"""From grey values to what the networks see: foreground mask and local contrast normalisation.

In JAX and batched, one code for synthetic prints on the device and real ones from files.
Images are (B, H, W) in [0, 1], ridges dark.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ifvit.geometry.filters import gaussian_blur

WINDOW_MM = 0.7
"""Standard deviation of the window for local statistics: about one and a half ridge periods."""

FOREGROUND_CONTRAST = 0.3
"""Foreground is where the local contrast exceeds this share of the print's strongest."""

LEAST_CONTRAST = 0.02
"""Local standard deviation, of a range of 1, below which nothing is taken for ridges."""


def _statistics(image: Float[Array, "B H W"], ppi: int) -> tuple[Array, Array]:
    """Return local mean and standard deviation."""
    sigma = WINDOW_MM * ppi / 25.4
    mean = gaussian_blur(image, sigma)
    variance = gaussian_blur(jnp.square(image - mean), sigma)
    return mean, jnp.sqrt(jnp.maximum(variance, 0.0) + 1e-8)


def foreground(image: Float[Array, "B H W"], ppi: int) -> Bool[Array, "B H W"]:
    """Return the mask of pixels that show ridges: where local contrast is strong.

    ``ppi`` is the image's resolution. The threshold is relative to the print's own contrast, so
    faint prints keep theirs; a blank image has no foreground.
    """
    _, deviation = _statistics(image, ppi)
    # The deviation is smooth already, so that its maximum is no outlier.
    strong = deviation.max((1, 2), keepdims=True)
    rough = deviation > jnp.maximum(FOREGROUND_CONTRAST * strong, LEAST_CONTRAST)
    # A second blur closes gaps between ridges and drops specks.
    return gaussian_blur(rough.astype(jnp.float32), WINDOW_MM * ppi / 25.4) > 0.5


def normalise(
    image: Float[Array, "B H W"], mask: Bool[Array, "B H W"], ppi: int
) -> Float[Array, "B H W"]:
    """Return the image with local mean 0 and local deviation 1 in the foreground, 0 outside it."""
    mean, deviation = _statistics(image, ppi)
    # The floor keeps the noise of flat patches, of wet or missing skin, from being blown up.
    scaled = (image - mean) / (deviation + 0.03)
    return jnp.where(mask, jnp.clip(scaled, -3, 3), 0.0)
