"""Images read between their pixels, and prints drawn through plane transforms."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num

from ifvit.geometry.transforms import Arrays, library_of


def sample(image: Num[Arrays, "H W *C"], points: Float[Arrays, "*P 2"]) -> Float[Arrays, "*P *C"]:
    """Read an image at points (x, y) by bilinear interpolation; the border's value beyond it."""
    return _sample(image, points, library_of(image))


def sample_each(
    images: Float[np.ndarray, "A H W C"], points: Float[np.ndarray, "A K 2"]
) -> Float[np.ndarray, "A K C"]:
    """Read A images, each at its own points, as :func:`sample` does."""
    count, height, width, channels = images.shape
    # One above the other they are one image; no point reaches into its neighbour.
    y = points[..., 1].clip(0, height - 1) + height * np.arange(count)[:, None]
    stacked = images.reshape(count * height, width, channels)
    return np.asarray(_sample(stacked, np.stack([points[..., 0], y], axis=-1), np))


def settled(
    displacement: Float[np.ndarray, "h w 2"],
    target: Float[np.ndarray, "K 2"],
    cell_px: float,
    first: tuple[float, float],
    steps: int,
) -> Float[np.ndarray, "K 2"]:
    """Return the points that a displacement, added to them, takes to ``target``.

    Its values lie ``cell_px`` apart from ``first`` on. By fixed-point iteration.
    """
    points, start = target, np.array(first)
    for _ in range(steps):
        points = target - _sample(displacement, (points - start) / cell_px, np)
    return points


def _sample(image: Any, points: Any, library: Any) -> Any:
    height, width, *channels = image.shape
    x = library.clip(points[..., 0], 0, width - 1)
    y = library.clip(points[..., 1], 0, height - 1)
    # A point on the last pixel is read from the one before it, all of whose weight is its.
    x0, y0 = (
        library.minimum(at.astype(int), max(side - 2, 0)) for at, side in ((x, width), (y, height))
    )
    fx, fy = (share.reshape(*share.shape, *[1] * len(channels)) for share in (x - x0, y - y0))
    right, below = min(1, width - 1), width * min(1, height - 1)
    flat = image.reshape(height * width, *channels)
    index = y0 * width + x0
    values = [flat[index + step] for step in (0, right, below, below + right)]
    if not np.issubdtype(image.dtype, np.floating):
        values = [value.astype(points.dtype) for value in values]
    top = values[0] * (1 - fx) + values[1] * fx
    bottom = values[2] * (1 - fx) + values[3] * fx
    return top * (1 - fy) + bottom * fy


def warp(
    image: Float[Array, "H W"],
    mask: Bool[Array, "H W"],
    transforms: Float[Array, "A 2 3"],
    fields: Float[Array, "A h w 2"] | None = None,
    shape: tuple[int, int] | None = None,
) -> tuple[Float[Array, "A _ _"], Bool[Array, "A _ _"]]:
    """Draw a print and its mask through A output-to-input transforms, bilinear.

    ``fields`` displaces the output's pixels before that, one vector a coarse cell. The output has
    the (height, width) ``shape``, that of the image if not given. Beyond the image its border is
    repeated and nothing is foreground: no edge appears where the image ends, which would disturb
    the local statistics inside it.
    """
    soft = drawn(mask.astype(jnp.float32), transforms, fields=fields, shape=shape)
    return drawn(image, transforms, "nearest", fields, shape), soft > 0.5


def warp_pairs(
    image: Float[Array, "B S S"],
    mask: Bool[Array, "B S S"],
    transforms: Float[Array, "B 2 3"],
    side: int | None = None,
) -> tuple[Float[Array, "B T T"], Bool[Array, "B T T"]]:
    """Draw each print and its mask through its own output-to-input transform; see ``warp``.

    The output is ``side`` pixels square, T, or as large as the image.
    """
    shape = None if side is None else (side, side)

    def one(image: Array, mask: Array, transform: Array) -> tuple[Array, Array]:
        warped, inside = warp(image, mask, transform[None], shape=shape)
        return warped[0], inside[0]

    return jax.vmap(one)(image, mask, transforms)


def drawn(
    image: Float[Array, "H W"],
    transforms: Float[Array, "A 2 3"],
    beyond: str = "constant",
    fields: Float[Array, "A h w 2"] | None = None,
    shape: tuple[int, int] | None = None,
) -> Float[Array, "A _ _"]:
    """Draw an image through A output-to-input transforms, bilinear.

    ``beyond`` its border it is 0 ("constant"), or the border again ("nearest"). ``fields`` and
    ``shape`` as :func:`warp` has them.
    """
    height, width = image.shape if shape is None else shape
    y, x = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
    grid = jnp.stack([x, y, jnp.ones_like(x)]).astype(jnp.float32)

    def one(transform: Array, field: Array | None) -> Array:
        place = grid
        if field is not None:
            moved = jax.image.resize(field, (height, width, 2), "linear")
            place = grid.at[:2].add(jnp.moveaxis(moved, -1, 0))
        source = jnp.einsum("ij,jhw->ihw", transform, place, precision="highest")
        read = sample(image, jnp.moveaxis(source, 0, -1))
        return (
            read
            if beyond == "nearest"
            else read * _covered(source, (image.shape[1], image.shape[0]))
        )

    return jax.vmap(one)(transforms, fields)


def _covered(source: Float[Array, "2 H W"], size: tuple[int, int]) -> Float[Array, "H W"]:
    """Return the weight of an image of ``size`` (width, height) at points, beside zeros beyond."""
    last = jnp.array(size)[:, None, None] - 1
    past = jnp.maximum(jnp.maximum(-source, source - last), 0.0)
    return jnp.clip(1 - past, 0.0, 1.0).prod(axis=0)
