"""Images blurred by a Gaussian, and reduced by the mean over blocks, in NumPy or JAX."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from ifvit.geometry.arrays import Arrays, product


def gaussian_weight(away: Num[np.ndarray, "*N"], sigma: float) -> Float[np.ndarray, "*N"]:
    """Return the weight of what lies ``away`` from a Gaussian's centre, 1 there and 0 far off.

    The far ends are cut where no sum in float32 shows them: they would be subnormal numbers there,
    which processors multiply fifteen times as slowly.
    """
    weight = np.exp(-0.5 * np.square(away / sigma))
    return np.where(weight < 1e-12, weight.dtype.type(0), weight)


@lru_cache(maxsize=256)
def _blur_matrix(side: int, sigma: float) -> np.ndarray:
    """Return the (side, side) matrix whose product with a line of pixels blurs it."""
    position = np.arange(side)
    weight = gaussian_weight(position[:, None] - position, sigma)
    return (weight / weight.sum(1, keepdims=True)).astype(np.float32)


def gaussian_blur(image: Float[Arrays, "*B H W"], sigma: float) -> Float[Arrays, "*B H W"]:
    """Blur by a Gaussian of standard deviation ``sigma`` pixels, normalised at the border.

    It is computed as two matrix products: for canvases of some hundred pixels that is many times
    faster than a convolution with one channel, on every device.
    """
    rows, columns = (_blur_matrix(side, sigma) for side in image.shape[-2:])
    return product(product(rows, image), columns.T)


def shrink(image: Float[Arrays, "*B H W"], factor: int) -> Float[Arrays, "*B h w"]:
    """Shrink an image by a whole factor, by the mean over blocks."""
    # Sums of rows and columns that lie ``factor`` apart: NumPy takes ten times that for a mean over
    # the two axes of blocks.
    rows: Any = sum(image[..., row::factor, :] for row in range(factor))
    columns: Any = sum(rows[..., column::factor] for column in range(factor))
    return columns / factor**2
