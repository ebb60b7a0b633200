"""What two prints' ridge flows say before Module 1 looks: which rotations are worth its time.

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

from ifvit.config import STRIDE, ModelConfig
from ifvit.features.frame_features import FrameFeatures
from ifvit.features.pose import upright_of
from ifvit.geometry.filters import shrink
from ifvit.geometry.transforms import compose, invert, similarity
from ifvit.geometry.warp import drawn
from ifvit.registration.correlate import MIN_OVERLAP

FINER = 3
"""Turns of the flow tried to each rotation of the search: it changes within some 15°."""


def likely_turns(
    frames0: FrameFeatures, frames1: FrameFeatures, angles: Float[np.ndarray, " A"], count: int
) -> Float[np.ndarray, "P count"]:
    """Return the ``count`` angles of A, for each of P pairs, at which the flows agree best.

    ``angles`` in degrees are evenly spaced; image 1 is turned by them about the frame's middle.
    All of them, in their order, where there are no more.
    """
    if count >= len(angles):
        return np.tile(angles, (len(frames0.image), 1))
    step = (angles[1] - angles[0]) / FINER
    finer = angles[:, None] + step * (np.arange(FINER) - FINER // 2)
    agreed = np.asarray(_agreements(frames0, frames1, jnp.asarray(finer.reshape(-1))))
    best = agreed.reshape(len(agreed), *finer.shape).max(axis=2)
    return angles[np.argsort(-best, axis=1, kind="stable")[:, :count]]


@jax.jit
def _agreements(
    frames0: FrameFeatures, frames1: FrameFeatures, degrees: Float[Array, " T"]
) -> Float[Array, "P T"]:
    """Return how well the flows agree at the best shift, for each turn of image 1."""

    def one(pair: tuple[FrameFeatures, FrameFeatures]) -> Float[Array, " T"]:
        (flow0, shown0), (flow1, shown1) = map(_flow, pair)
        return jax.vmap(partial(_agreement, flow0, shown0, flow1, shown1))(degrees)

    return jax.lax.map(one, (frames0, frames1))


def _flow(canvas: FrameFeatures) -> tuple[Complex[Array, "h w"], Float[Array, "h w"]]:
    """Return each cell's doubled direction, as long as it is clear, and its share of foreground."""
    clear = jnp.where(canvas.ridges.mask, canvas.coherence, 0.0)
    doubled = 2 * canvas.orientation
    parts = clear * jnp.cos(doubled), clear * jnp.sin(doubled)
    flow = shrink(parts[0], STRIDE) + 1j * shrink(parts[1], STRIDE)
    return flow, shrink(canvas.ridges.mask.astype(jnp.float32), STRIDE)


def _agreement(flow0: Array, shown0: Array, flow1: Array, shown1: Array, degrees: Array) -> Array:
    """Return the best correlation of two flows over all shifts, times the root of its area."""
    turned, shown = _turned(flow1, shown1, degrees)
    size = [2 * side for side in flow0.shape]  # room, so that no shift wraps around

    def products(x: Array, y: Array) -> Array:
        return jnp.fft.ifft2(jnp.conj(jnp.fft.fft2(x, size)) * jnp.fft.fft2(y, size)).real

    power = products(jnp.square(abs(flow0)), shown) * products(shown0, jnp.square(abs(turned)))
    area = products(shown0, shown) / flow0.size
    ncc = products(flow0, turned) / jnp.sqrt(jnp.maximum(power, 1e-3))
    evidence = ncc * jnp.sqrt(jnp.maximum(area, 0.0))
    return jnp.where(area > MIN_OVERLAP, evidence, -1.0).max()


def _turned(flow: Array, shown: Array, degrees: Array) -> tuple[Array, Array]:
    """Draw a flow turned about its middle, as prints are; directions turn with it."""
    height, width = flow.shape
    H = similarity(degrees, ((width - 1) / 2, (height - 1) / 2))[None]
    parts = [drawn(part, H)[0] for part in (flow.real, flow.imag, shown)]
    return (parts[0] + 1j * parts[1]) * jnp.exp(-2j * jnp.deg2rad(degrees)), parts[2]


@partial(jax.jit, static_argnames="config")
def core_on_core(
    frames0: FrameFeatures, frames1: FrameFeatures, config: ModelConfig
) -> Float[Array, "P 2 3"]:
    """Return the transforms H_0to1 that lay prints 1 on prints 0, core on core, both upright."""
    place0, place1 = upright_of(frames0.shown, config), upright_of(frames1.shown, config)
    return jax.vmap(compose)(place1, jax.vmap(invert)(place0))
