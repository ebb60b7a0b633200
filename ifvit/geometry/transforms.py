"""Plane transforms: 2×3 matrices in pixels (x, y), in NumPy or JAX.

``H_0to1`` takes a point of image 0 to image 1; used as an output-to-input map it is also what
draws image 1 in image 0's frame (:func:`ifvit.geometry.warp.warp`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Num

from ifvit.geometry.arrays import Arrays


def similarity_at(cos: Any, sin: Any, start: Any, end: Any) -> Any:
    """Return the similarity with the linear part (cos, -sin; sin, cos) that takes ``start`` to
    ``end``.

    The length of (cos, sin) is its scale. Arrays (B,) of ``cos`` and ``sin`` give (B, 2, 3).
    """
    library = cos.__array_namespace__()
    rows = [library.stack([cos, -sin], axis=-1), library.stack([sin, cos], axis=-1)]
    linear = library.stack(rows, axis=-2)
    return library.concatenate([linear, (end - linear @ start)[..., None]], axis=-1)


def similarity(
    angle: float | Num[np.ndarray, "*A"],
    centre: Sequence[float],
    scale: float | Num[np.ndarray, "*A"] = 1.0,
) -> Float[np.ndarray, "*A 2 3"]:
    """Return the rotation by ``angle`` degrees (x axis towards y axis) about ``centre`` (x, y),
    combined with a scaling by ``scale`` about the same point; of arrays (A,), A of them.
    """
    radians, middle = np.deg2rad(np.asarray(angle, float)), np.asarray(centre, float)
    return np.asarray(
        similarity_at(scale * np.cos(radians), scale * np.sin(radians), middle, middle)
    )


def angle_of(H: Float[np.ndarray, "2 3"]) -> float:
    """Return the rotation of a similarity in degrees, from the x axis towards the y axis."""
    return float(np.rad2deg(np.arctan2(H[1, 0], H[0, 0])))


def apply(H: Float[Arrays, "*A 2 3"], points: Float[Arrays, "*K 2"]) -> Float[Arrays, "*K 2"]:
    """Return points (x, y) moved by the 2×3 transform ``H``.

    Of transforms (*A, 2, 3) and points (*A, K, 2), each transform moves its own K points.
    """
    if H.ndim > 2:
        return points @ H[..., :2].swapaxes(-1, -2) + H[..., None, :, 2]
    return points @ H[:, :2].T + H[:, 2]


def invert(H: Float[Arrays, "*A 2 3"]) -> Float[Arrays, "*A 2 3"]:
    """Return the inverse of a 2×3 transform, or of each of many."""
    library = H.__array_namespace__()
    (a, b), (c, d) = (H[..., 0, 0], H[..., 0, 1]), (H[..., 1, 0], H[..., 1, 1])
    rows = [library.stack([d, -b], axis=-1), library.stack([-c, a], axis=-1)]
    linear = library.stack(rows, axis=-2) / (a * d - b * c)[..., None, None]
    return library.concatenate([linear, -(linear @ H[..., 2:])], axis=-1)


def compose(H: Float[Arrays, "*A 2 3"], first: Float[Arrays, "*B 2 3"]) -> Float[Arrays, "*C 2 3"]:
    """Return the transform that applies ``first`` and then ``H``; either may be many."""
    linear, moved = H[..., :2] @ first[..., :2], H[..., :2] @ first[..., 2:] + H[..., 2:]
    return H.__array_namespace__().concatenate([linear, moved], axis=-1)


def coarser(H: Float[Arrays, "*A 2 3"], factor: float) -> Float[Arrays, "*A 2 3"]:
    """Return a transform of pixels as one of pixels that are ``factor`` times as large."""
    offset = (factor - 1) / 2  # a coarse pixel's centre among the pixels that it is the mean of
    moved = offset * H[..., :2].sum(-1) + H[..., 2] - offset
    return H.__array_namespace__().concatenate([H[..., :2], moved[..., None] / factor], axis=-1)


def fit_similarity(
    points0: Float[Arrays, "N 2"], points1: Float[Arrays, "N 2"], valid: Bool[Arrays, " N"]
) -> Float[Arrays, "2 3"]:
    """Return the least-squares similarity from points 0 to points 1; with fewer than three valid
    points, the identity.

    It is computed in closed form in the complex plane (Umeyama, IEEE TPAMI 13(4), 1991, in two
    dimensions).
    """
    library = points0.__array_namespace__()
    weight = valid / library.maximum(valid.sum(), 1)
    mean0, mean1 = (weight[:, None] * points0).sum(0), (weight[:, None] * points1).sum(0)
    x0, y0 = (points0 - mean0).T
    x1, y1 = (points1 - mean1).T
    power = library.maximum((weight * (x0**2 + y0**2)).sum(), 1e-6)
    cos = (weight * (x0 * x1 + y0 * y1)).sum() / power
    sin = (weight * (x0 * y1 - y0 * x1)).sum() / power
    fitted = similarity_at(cos, sin, mean0, mean1)
    return library.where(valid.sum() >= 3, fitted, library.eye(2, 3))
