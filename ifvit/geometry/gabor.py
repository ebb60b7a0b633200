"""Contextual filtering: an image filtered along its ridges, at each pixel's own ridge period.

Each pixel has a Gabor filter of its own, exact in orientation and period. There is no bank of
quantised filters, so there are no borders between them.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

RADIUS = 6
"""Half the filter's side in pixels: it holds one and a half periods of up to 4.5 px (9 px at
500 ppi, filtered at 250 ppi)."""


def _half_plane() -> np.ndarray:
    """Return the offsets (dx, dy) of half the filter's disc; the filter is even."""
    span = range(-RADIUS, RADIUS + 1)
    offsets = [(dx, dy) for dy in span for dx in span if (dy > 0 or (dy == 0 and dx > 0))]
    return np.array([o for o in offsets if o[0] ** 2 + o[1] ** 2 <= (RADIUS + 0.5) ** 2])


OFFSETS = _half_plane()


def gabor_taps(
    orientation: Float[Array, "*B H W"],
    period: Float[Array, "*B H W"],
    along: float = 0.52,
    across: float = 0.42,
) -> Float[Array, "planes *B H W"]:
    """Return every pixel's even Gabor filter: the centre tap first, then half the others.

    ``orientation`` is the direction along the ridge (radians, image coordinates), ``period`` is in
    pixels of the image. ``along`` and ``across`` are the envelope's standard deviations in periods.
    The filters have no response to a constant and unit L1 norm.
    """
    cos, sin = jnp.cos(orientation), jnp.sin(orientation)
    # The envelope's exponent is a dx² + b dx dy + c dy², the wave's phase p dx + q dy. Powers and
    # multiples of five exponentials per pixel make all taps: many times cheaper than one cosine
    # and one exponential per tap.
    scale = -0.5 / jnp.square(period)
    a = jnp.exp(scale * (jnp.square(cos / along) + jnp.square(sin / across)))
    b = jnp.exp(2 * scale * cos * sin * (1 / along**2 - 1 / across**2))
    c = jnp.exp(scale * (jnp.square(sin / along) + jnp.square(cos / across)))
    wave_x = _multiples(-2 * jnp.pi * sin / period)
    wave_y = _multiples(2 * jnp.pi * cos / period)

    def tap(dx: int, dy: int) -> tuple[Array, Array]:
        envelope = a ** (dx * dx) * b ** (dx * dy) * c ** (dy * dy)
        (cos_x, sin_x), (cos_y, sin_y) = wave_x[abs(dx)], wave_y[abs(dy)]
        sign = (1 if dx >= 0 else -1) * (1 if dy >= 0 else -1)
        return envelope, cos_x * cos_y - sign * sin_x * sin_y

    pairs = [tap(0, 0)] + [tap(int(dx), int(dy)) for dx, dy in OFFSETS]
    weight = [1.0] + [2.0] * len(OFFSETS)
    total = sum(w * e for w, (e, _) in zip(weight, pairs, strict=True))
    mean = sum(w * e * c for w, (e, c) in zip(weight, pairs, strict=True)) / total
    taps = jnp.stack([e * (c - mean) for e, c in pairs])
    norm = jnp.abs(taps[0]) + 2 * jnp.abs(taps[1:]).sum(0)
    return taps / norm


def _multiples(angle: Float[Array, "*B H W"]) -> list[tuple[Array, Array]]:
    """Return (cos, sin) of 0 to RADIUS times an angle, by the addition theorem."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    found = [(jnp.ones_like(cos), jnp.zeros_like(sin))]
    for _ in range(RADIUS):
        before_cos, before_sin = found[-1]
        found.append((before_cos * cos - before_sin * sin, before_sin * cos + before_cos * sin))
    return found


def apply_taps(
    image: Float[Array, "*B H W"], taps: Float[Array, "planes *B H W"]
) -> Float[Array, "*B H W"]:
    """Filter an image with every pixel's own taps (:func:`gabor_taps`); zero beyond the border."""
    height, width = image.shape[-2:]
    lead = [(0, 0)] * (image.ndim - 2)
    padded = jnp.pad(image, [*lead, (RADIUS, RADIUS), (RADIUS, RADIUS)])

    def shifted(dx: int, dy: int) -> Array:
        y, x = RADIUS + dy, RADIUS + dx
        return padded[..., y : y + height, x : x + width]

    out = taps[0] * image
    for index, (dx, dy) in enumerate(OFFSETS.tolist(), start=1):
        out = out + taps[index] * (shifted(dx, dy) + shifted(-dx, -dy))
    return out


def oriented_filter(
    image: Float[Array, "*B H W"],
    orientation: Float[Array, "*B H W"],
    period: Float[Array, "*B H W"],
) -> Float[Array, "*B H W"]:
    """Filter an image along its ridges once: enhancement with a known flow.

    Shapes (..., H, W); ``orientation`` in radians along the ridge, ``period`` in pixels, at most
    ``2 RADIUS / 3`` of them for a filter that holds three half-waves.
    """
    return apply_taps(image, gabor_taps(orientation, period))
