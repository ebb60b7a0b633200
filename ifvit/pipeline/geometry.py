"""Plane transforms: 2×3 matrices in pixels (x, y), and prints drawn through them.

``H_0to1`` takes a point of image 0 to image 1; used as an output-to-input map it is also what
draws image 1 in image 0's frame (:func:`warp`).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Bool, Float


def similarity(angle: float, centre: tuple[float, float]) -> Float[np.ndarray, "2 3"]:
    """Return the rotation by ``angle`` degrees (x axis towards y axis) about ``centre`` (x, y)."""
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    rotation = np.array([[cos, -sin], [sin, cos]])
    point = np.asarray(centre, dtype=float)
    return np.column_stack([rotation, point - rotation @ point])


def angle_of(H: Float[np.ndarray, "2 3"]) -> float:
    """Return the rotation of a similarity in degrees, from the x axis towards the y axis."""
    return float(np.rad2deg(np.arctan2(H[1, 0], H[0, 0])))


def apply(H: Float[np.ndarray, "2 3"], points: Float[np.ndarray, "K 2"]) -> np.ndarray:
    """Return the points (K, 2) moved by the 2×3 transform ``H``."""
    return points @ H[:, :2].T + H[:, 2]


def invert(H: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "2 3"]:
    """Return the inverse of a 2×3 transform."""
    inverse = np.linalg.inv(H[:, :2])
    return np.column_stack([inverse, -inverse @ H[:, 2]])


def joined(H: Float[np.ndarray, "2 3"], first: Float[np.ndarray, "2 3"]) -> np.ndarray:
    """Return the transform that applies ``first`` and then ``H``."""
    return np.column_stack([H[:, :2] @ first[:, :2], H[:, :2] @ first[:, 2] + H[:, 2]])


def coarser(H: Float[Array, "*A 2 3"], factor: float) -> Float[Array, "*A 2 3"]:
    """Return a transform of pixels as one of pixels that are ``factor`` times as large."""
    offset = (factor - 1) / 2  # a coarse pixel's centre among the pixels that it is the mean of
    moved = H[..., :2] @ jnp.array([offset, offset]) + H[..., 2] - offset
    return jnp.concatenate([H[..., :2], moved[..., None] / factor], axis=-1)


def warp(
    image: Float[Array, "H W"],
    mask: Bool[Array, "H W"],
    transforms: Float[Array, "A 2 3"],
    fields: Float[Array, "A h w 2"] | None = None,
) -> tuple[Float[Array, "A H W"], Bool[Array, "A H W"]]:
    """Draw a print and its mask through A output-to-input transforms, bilinear.

    ``fields`` displaces the output's pixels before that, one vector a coarse cell. Beyond the image
    its border is repeated and nothing is foreground: no edge appears where the image ends, which
    would disturb the local statistics inside it.
    """
    soft = drawn(mask.astype(jnp.float32), transforms, fields=fields)
    return drawn(image, transforms, "nearest", fields), soft > 0.5


def drawn(
    image: Float[Array, "H W"],
    transforms: Float[Array, "A 2 3"],
    beyond: str = "constant",
    fields: Float[Array, "A h w 2"] | None = None,
) -> Float[Array, "A H W"]:
    """Draw an image through A output-to-input transforms, bilinear.

    ``beyond`` its border it is 0 ("constant"), or the border again ("nearest"). ``fields`` as
    :func:`warp` has them.
    """
    height, width = image.shape
    y, x = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
    grid = jnp.stack([x, y, jnp.ones_like(x)]).astype(jnp.float32)

    def one(transform: Array, field: Array | None) -> Array:
        place = grid
        if field is not None:
            moved = jax.image.resize(field, (height, width, 2), "linear")
            place = grid.at[:2].add(jnp.moveaxis(moved, -1, 0))
        source = jnp.einsum("ij,jhw->ihw", transform, place, precision="highest")
        return map_coordinates(image, [source[1], source[0]], order=1, mode=beyond)

    return jax.vmap(one)(transforms, fields)
