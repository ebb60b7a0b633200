"""Images read between their pixels, and prints drawn through plane transforms."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Num

from ifvit.geometry.arrays import Arrays


def sample(image: Num[Arrays, "H W *C"], points: Float[Arrays, "*P 2"]) -> Float[Arrays, "*P *C"]:
    """Read an image at points (x, y) by bilinear interpolation; points beyond the border take the
    value at the border."""
    return _sample(image, points, image.__array_namespace__())


def sample_each(
    images: Float[np.ndarray, "A H W C"], points: Float[np.ndarray, "A K 2"]
) -> Float[np.ndarray, "A K C"]:
    """Read A images, each at its own points, as :func:`sample` does."""
    count, height, width, channels = images.shape
    # Stacked, they are read as one image; no point reaches into the image below its own.
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
    """Return the points that arrive at ``target`` when a displacement is added to them.

    The displacement's values lie ``cell_px`` apart, starting at ``first``. The points are found by
    fixed-point iteration.
    """
    points, start = target, np.array(first)
    for _ in range(steps):
        points = target - _sample(displacement, (points - start) / cell_px, np)
    return points


def _sample(image: Any, points: Any, library: Any) -> Any:
    height, width, *channels = image.shape
    x = library.clip(points[..., 0], 0, width - 1)
    y = library.clip(points[..., 1], 0, height - 1)
    # A point on the last pixel is read between it and the pixel before, which gets no weight.
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
    image: Float[np.ndarray, "H W"],
    mask: Bool[np.ndarray, "H W"],
    transforms: Float[np.ndarray, "A 2 3"],
    fields: Float[np.ndarray, "A h w 2"] | None = None,
    shape: tuple[int, int] | None = None,
) -> tuple[Float[np.ndarray, "A _ _"], Bool[np.ndarray, "A _ _"]]:
    """Draw a print and its mask through A output-to-input transforms, by bilinear interpolation.

    ``fields`` displaces the output's pixels before the transform, by one vector per coarse cell.
    The output has the (height, width) ``shape``, that of the image if not given. Beyond the image
    its border is repeated and nothing is foreground: an edge where the image ends would disturb the
    local statistics inside it.
    """
    soft = drawn(mask.astype(np.float32), transforms, fields=fields, shape=shape)
    return drawn(image, transforms, "nearest", fields, shape), soft > 0.5


BEYOND = {"constant": cv2.BORDER_CONSTANT, "nearest": cv2.BORDER_REPLICATE}


def drawn(
    image: Float[np.ndarray, "H W"],
    transforms: Float[np.ndarray, "A 2 3"],
    beyond: str = "constant",
    fields: Float[np.ndarray, "A h w 2"] | None = None,
    shape: tuple[int, int] | None = None,
) -> Float[np.ndarray, "A _ _"]:
    """Draw an image through A output-to-input transforms, by bilinear interpolation.

    ``beyond`` says what lies outside the image: zeros ("constant") or its border repeated
    ("nearest"). ``fields`` and ``shape`` are as in :func:`warp`.
    """
    height, width = image.shape if shape is None else shape
    image, border = np.ascontiguousarray(image, np.float32), BEYOND[beyond]
    made = np.empty((len(transforms), height, width), np.float32)
    for index, H in enumerate(transforms):
        if fields is None:
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            cv2.warpAffine(image, H, (width, height), made[index], flags, border)
        else:
            x, y = _placed(H, fields[index], (height, width))
            cv2.remap(image, x, y, cv2.INTER_LINEAR, made[index], border)
    return made


def _placed(
    H: Float[np.ndarray, "2 3"], field: Float[np.ndarray, "h w 2"], shape: tuple[int, int]
) -> tuple[Float[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
    """Return the x and y at which each output pixel is read: displaced by ``field``, then moved by
    ``H``."""
    height, width = shape
    moved = cv2.resize(np.asarray(field, np.float32), (width, height))
    x = moved[..., 0] + np.arange(width, dtype=np.float32)
    y = moved[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    H = np.asarray(H, np.float32)
    return H[0, 0] * x + H[0, 1] * y + H[0, 2], H[1, 0] * x + H[1, 1] * y + H[1, 2]
