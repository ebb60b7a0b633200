"""Which rotations are worth Module 1's time: those at which two prints' ridge flows agree.

The flow, a direction a cell, is a hundredth of the print and turns with it. All rotations and all
shifts of one flow on the other are correlated by the Fourier transform in less time than Module 1
takes for one rotation; what it says is rough, so that several rotations are kept.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from ifvit.config import STRIDE
from ifvit.pipeline.canvas import Canvas
from ifvit.pipeline.correlate import MIN_OVERLAP
from ifvit.pipeline.geometry import drawn

FINER = 3
"""Turns of the flow tried to each rotation of the search: it changes within some 15°."""


def likely_turns(
    canvases0: Canvas, canvases1: Canvas, angles: Float[np.ndarray, " A"], count: int
) -> Float[np.ndarray, "P count"]:
    """Return the ``count`` angles of A, for each of P pairs, at which the flows agree best.

    ``angles`` in degrees are evenly spaced; image 1 is turned by them about the frame's middle.
    All of them, in their order, where there are no more.
    """
    if count >= len(angles):
        return np.tile(angles, (len(canvases0.image), 1))
    step = (angles[1] - angles[0]) / FINER
    finer = angles[:, None] + step * (np.arange(FINER) - FINER // 2)
    agreed = np.asarray(_agreements(canvases0, canvases1, jnp.asarray(finer.reshape(-1))))
    best = agreed.reshape(len(agreed), *finer.shape).max(axis=2)
    return angles[np.argsort(-best, axis=1, kind="stable")[:, :count]]


@jax.jit
def _agreements(
    canvases0: Canvas, canvases1: Canvas, degrees: Float[Array, " T"]
) -> Float[Array, "P T"]:
    """Return how well the flows agree at the best shift, for each turn of image 1."""

    def one(pair: tuple[Canvas, Canvas]) -> Float[Array, " T"]:
        (flow0, shown0), (flow1, shown1) = map(_flow, pair)
        return jax.vmap(partial(_agreement, flow0, shown0, flow1, shown1))(jnp.deg2rad(degrees))

    return jax.lax.map(one, (canvases0, canvases1))


def _flow(canvas: Canvas) -> tuple[Complex[Array, "h w"], Float[Array, "h w"]]:
    """Return each cell's doubled direction, as long as it is clear, and its share of foreground."""

    def means(image: Array) -> Array:
        height, width = image.shape
        return image.reshape(height // STRIDE, STRIDE, width // STRIDE, STRIDE).mean((1, 3))

    clear = jnp.where(canvas.ridges.mask, canvas.coherence, 0.0)
    doubled = 2 * canvas.orientation
    flow = means(clear * jnp.cos(doubled)) + 1j * means(clear * jnp.sin(doubled))
    return flow, means(canvas.ridges.mask.astype(jnp.float32))


def _agreement(flow0: Array, shown0: Array, flow1: Array, shown1: Array, angle: Array) -> Array:
    """Return the best correlation of two flows over all shifts, times the root of its area."""
    turned, shown = _turned(flow1, shown1, angle)
    size = [2 * side for side in flow0.shape]  # room, so that no shift wraps around

    def products(x: Array, y: Array) -> Array:
        return jnp.fft.ifft2(jnp.conj(jnp.fft.fft2(x, size)) * jnp.fft.fft2(y, size)).real

    power = products(jnp.square(abs(flow0)), shown) * products(shown0, jnp.square(abs(turned)))
    area = products(shown0, shown) / flow0.size
    ncc = products(flow0, turned) / jnp.sqrt(jnp.maximum(power, 1e-3))
    evidence = ncc * jnp.sqrt(jnp.maximum(area, 0.0))
    return jnp.where(area > MIN_OVERLAP, evidence, -1.0).max()


def _turned(flow: Array, shown: Array, angle: Array) -> tuple[Array, Array]:
    """Draw a flow turned about its middle, as prints are; directions turn with it."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    linear = jnp.array([[cos, -sin], [sin, cos]])
    middle = (jnp.array(flow.shape[::-1]) - 1) / 2
    H = jnp.concatenate([linear, (middle - linear @ middle)[:, None]], axis=1)[None]
    parts = [drawn(part, H)[0] for part in (flow.real, flow.imag, shown)]
    return (parts[0] + 1j * parts[1]) * jnp.exp(-2j * angle), parts[2]
