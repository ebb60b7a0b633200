"""Contextual filtering: an image filtered along its ridges, at each pixel's own ridge period.

Each pixel has a Gabor filter of its own, exact in orientation and period. There is no bank of
quantised filters, so there are no borders between them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ifvit.geometry.arrays import Arrays, product

RADIUS = 6
"""Half the filter's side in pixels: it holds one and a half periods of up to 4.5 px (9 px at
500 ppi, filtered at 250 ppi)."""


def _half_plane() -> np.ndarray:
    """Return the offsets (dx, dy) of half the filter's disc; the filter is even."""
    span = range(-RADIUS, RADIUS + 1)
    offsets = [(dx, dy) for dy in span for dx in span if (dy > 0 or (dy == 0 and dx > 0))]
    return np.array([o for o in offsets if o[0] ** 2 + o[1] ** 2 <= (RADIUS + 0.5) ** 2])


OFFSETS = _half_plane()

_PLANES = np.concatenate([np.zeros((1, 2), int), OFFSETS])
"""The centre, and half of what is around it."""

_SQUARES = np.stack([_PLANES[:, 0] ** 2, _PLANES[:, 1] ** 2, _PLANES.prod(axis=1)], axis=1)

_TIMES = np.array([1.0] + [2.0] * len(OFFSETS), np.float32)
"""How often each of these taps counts in a sum over the whole filter."""


def gabor_taps(
    orientation: Float[Arrays, "*B H W"],
    period: Float[Arrays, "*B H W"],
    along: float = 0.52,
    across: float = 0.42,
) -> Float[Arrays, "planes *B H W"]:
    """Return every pixel's even Gabor filter: the centre tap first, then half the others.

    ``orientation`` is the direction along the ridge (radians, image coordinates), ``period`` is in
    pixels of the image. ``along`` and ``across`` are the envelope's standard deviations in periods.
    The filters have no response to a constant and unit L1 norm.
    """
    library = orientation.__array_namespace__()
    cos, sin = library.cos(orientation), library.sin(orientation)
    # The envelope's exponent is a dx² + b dy² + c dx dy, the wave's phase p dx + q dy.
    scale = -0.5 / (period * period)
    exponent = library.stack(
        [
            scale * ((cos / along) ** 2 + (sin / across) ** 2),
            scale * ((sin / along) ** 2 + (cos / across) ** 2),
            2 * scale * cos * sin * (1 / along**2 - 1 / across**2),
        ]
    )
    turn = 2 * np.pi / period
    phase = library.stack([-turn * sin, turn * cos])
    envelope = library.exp(product(_SQUARES.astype(np.float32), exponent.reshape(3, -1)))
    wave = library.cos(product(_PLANES.astype(np.float32), phase.reshape(2, -1)))
    mean = product(_TIMES, envelope * wave) / product(_TIMES, envelope)
    taps = envelope * (wave - mean)
    return (taps / product(_TIMES, abs(taps))).reshape(-1, *orientation.shape)


ROWS = 8
"""Rows that are filtered at a time in NumPy: what is computed of them stays in the cache."""


def apply_taps(
    image: Float[Arrays, "*B H W"], taps: Float[Arrays, "planes *B H W"]
) -> Float[Arrays, "*B H W"]:
    """Filter an image with every pixel's own taps (:func:`gabor_taps`); zero beyond the border."""
    return _applied(_padded(image), taps)


def _padded(image: Any) -> Any:
    lead = [(0, 0)] * (image.ndim - 2)
    return image.__array_namespace__().pad(image, [*lead, (RADIUS, RADIUS), (RADIUS, RADIUS)])


def _applied(padded: Any, taps: Any) -> Any:
    """Filter an image that is padded by :data:`RADIUS` zeros on each side."""
    height, width = taps.shape[-2:]

    def shifted(dx: int, dy: int) -> Any:
        y, x = RADIUS + dy, RADIUS + dx
        return padded[..., y : y + height, x : x + width]

    out = taps[0] * shifted(0, 0)
    for index, (dx, dy) in enumerate(OFFSETS.tolist(), start=1):
        out = out + taps[index] * (shifted(dx, dy) + shifted(-dx, -dy))
    return out


def oriented_filter(
    image: Float[Arrays, "*B H W"],
    orientation: Float[Arrays, "*B H W"],
    period: Float[Arrays, "*B H W"],
    mask: Bool[Arrays, "*B H W"],
) -> Float[Arrays, "*B H W"]:
    """Filter an image once along its ridges, whose orientation and period are known.

    All shapes are (..., H, W). ``orientation`` is the direction along the ridge in radians,
    ``period`` is in pixels, at most ``2 RADIUS / 3``, so that the filter holds three half-waves.
    Outside the ``mask`` the result is 0: there NumPy computes as little as possible.
    """
    library = image.__array_namespace__()
    if library is np:
        return _within(image, orientation, period, mask)
    made = _applied(_padded(image), gabor_taps(orientation, period))
    return library.where(mask, made, 0.0)


def _within(image: Any, orientation: Any, period: Any, mask: Any) -> Any:
    """Filter NumPy's images some rows at a time, and of these the columns that show anything."""
    padded, made = _padded(image), np.zeros_like(image)
    shown = mask.reshape(-1, *mask.shape[-2:]).any(axis=0)
    for top in range(0, len(shown), ROWS):
        columns = np.flatnonzero(shown[top : top + ROWS].any(axis=0))
        if not len(columns):
            continue
        here = ..., slice(top, top + ROWS), slice(columns[0], columns[-1] + 1)
        taps = gabor_taps(orientation[here], period[here])
        height, width = taps.shape[-2:]
        around = padded[..., top : top + height + 2 * RADIUS, columns[0] :]
        made[here] = _applied(around[..., : width + 2 * RADIUS], taps)
    return np.where(mask, made, np.float32(0))
