"""Smooth noise, by which skin, moisture and sensors vary."""

from __future__ import annotations

import jax
from jaxtyping import Array, Float, PRNGKeyArray


def smooth_noise(
    key: PRNGKeyArray, shape: tuple[int, int], scale: float | tuple[float, float]
) -> Float[Array, "H W"]:
    """Return noise of about unit variance whose grains are ``scale`` pixels wide.

    Two scales are the grains' height and width.
    """
    tall, wide = scale if isinstance(scale, tuple) else (scale, scale)
    grid = (int(shape[0] / tall) + 2, int(shape[1] / wide) + 2)
    noise = jax.random.normal(key, grid)
    # Linear interpolation is cheap, but shows its lattice where the grains are wide or long.
    if min(tall, wide) >= 20 or tall != wide:
        return 1.1 * jax.image.resize(noise, shape, "cubic")
    return 1.3 * jax.image.resize(noise, shape, "linear")
