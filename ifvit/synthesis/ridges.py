"""Ridges grown by a filter that follows the local orientation and period.

Applied again and again to scattered seeds it grows a ridge pattern, with minutiae wherever the
growing fronts do not fit (as in SFinGe: Cappelli, Maio and Maltoni, "Synthetic fingerprint-database
generation", ICPR 2002). Applied once to a real print the same filter
(:mod:`ifvit.geometry.gabor`) enhances it (:mod:`ifvit.features.enhance`).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ifvit.geometry.gabor import apply_taps, gabor_taps

STEPS = 12
"""Number of steps of growth. They are few because minutiae of opposite sign meet and vanish during
growth: a finger has more than long growth leaves (``docs/results/synthesis.md``)."""

SOFT_GAIN = 2.0
"""Gain while ridges find their places. A hard saturation here would lock them to the pixel grid."""

SHARP_GAIN = 4.0
SHARP_STEPS = 6
"""The last steps give minutiae, where two fronts cancel, the contrast of the ridges around them."""


def grow(
    seeds: Float[Array, "H W"],
    orientation: Float[Array, "H W"],
    period: Float[Array, "H W"],
    steps: int = STEPS,
) -> Float[Array, "H W"]:
    """Grow ridges from ``seeds`` by repeated filtering and saturation.

    Returns a smooth pattern in [-1, 1], ridges positive, amplitude near 1 away from minutiae.
    """
    taps = gabor_taps(orientation, period)

    def step(index: Array, pattern: Array) -> Array:
        gain = jnp.where(index < steps - SHARP_STEPS, SOFT_GAIN, SHARP_GAIN)
        return jnp.tanh(gain * apply_taps(pattern, taps))

    pattern = jax.lax.fori_loop(0, steps, step, seeds)
    return jnp.clip(1.2 * apply_taps(pattern, taps), -1.0, 1.0)
