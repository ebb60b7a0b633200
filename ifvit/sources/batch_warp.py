"""A batch of prints, each drawn through a transform of its own, on an accelerator.

Training makes prints in JAX and draws them on the same device; matching draws prints by
:func:`ifvit.geometry.warp.warp`, which gives the same result.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ifvit.geometry.warp import sample


def warp_affine_batch(
    image: Float[Array, "B S S"],
    mask: Bool[Array, "B S S"],
    transforms: Float[Array, "B 2 3"],
    side: int | None = None,
) -> tuple[Float[Array, "B T T"], Bool[Array, "B T T"]]:
    """Draw each print and its mask through its own output-to-input transform, bilinear.

    The output is ``side`` pixels square, T, or as large as the image. Beyond the image its border
    is repeated, and nothing is foreground.
    """

    def one(image: Array, mask: Array, transform: Array) -> tuple[Array, Array]:
        place = placed(transform, image.shape[0] if side is None else side)
        soft = sample(mask.astype(jnp.float32), place) * _covered(place, image.shape)
        return sample(image, place), soft > 0.5

    return jax.vmap(one)(image, mask, transforms)


def placed(transform: Float[Array, "2 3"], side: int) -> Float[Array, "T T 2"]:
    """Return where each pixel (x, y) of a square is read."""
    y, x = jnp.meshgrid(jnp.arange(side), jnp.arange(side), indexing="ij")
    grid = jnp.stack([x, y, jnp.ones_like(x)]).astype(jnp.float32)
    return jnp.einsum("ij,jhw->hwi", transform, grid, precision="highest")


def _covered(place: Float[Array, "T T 2"], shape: tuple[int, ...]) -> Float[Array, "T T"]:
    """Return the bilinear weight of an image of this shape at points, against zeros outside it."""
    last = jnp.array(shape[::-1]) - 1
    past = jnp.maximum(jnp.maximum(-place, place - last), 0.0)
    return jnp.clip(1 - past, 0.0, 1.0).prod(axis=-1)
