"""Which rotations are worth the time of Module 1, by the ridge flows of both prints.

The flow, one direction per cell, is a hundredth of the print's data and turns with it. All
rotations and all shifts of one flow on the other are correlated by the Fourier transform in less
time than Module 1 takes for one rotation; the result is rough, so that several rotations are kept.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Complex, Float

from ifvit.config import STRIDE
from ifvit.features.frame_features import FrameFeatures
from ifvit.geometry.filters import shrink
from ifvit.geometry.warp import drawn
from ifvit.registration.correlate import MIN_OVERLAP
from ifvit.registration.hypotheses import rotations

FINER = 3
"""Number of turns of the flow tried for each rotation of the search: agreement changes within some
15°."""


def likely_turns(
    frame0: FrameFeatures, frame1: FrameFeatures, angles: Float[np.ndarray, " A"], count: int
) -> Float[np.ndarray, " count"]:
    """Return the ``count`` angles of A at which the flows of two prints agree best.

    ``angles`` in degrees are evenly spaced; image 1 is turned by them about the frame's middle.
    Where A is at most ``count``, all are returned in their order.
    """
    if count >= len(angles):
        return angles
    step = (angles[1] - angles[0]) / FINER
    finer = angles[:, None] + step * (np.arange(FINER) - FINER // 2)
    agreed = _agreement(*_flow(frame0), *_turned(*_flow(frame1), finer.reshape(-1)))
    best = agreed.reshape(finer.shape).max(axis=1)
    return angles[np.argsort(-best, kind="stable")[:count]]


def _flow(frame: FrameFeatures) -> tuple[Complex[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Return each cell's doubled direction, a vector as long as the direction is clear, and the
    cell's share of foreground."""
    clear = np.where(frame.ridges.mask, frame.coherence, 0)
    doubled = 2 * frame.orientation
    parts = clear * np.cos(doubled), clear * np.sin(doubled)
    flow = shrink(parts[0], STRIDE) + 1j * shrink(parts[1], STRIDE)
    return flow, shrink(frame.ridges.mask.astype(np.float32), STRIDE)


def _turned(
    flow: Complex[np.ndarray, "h w"],
    shown: Float[np.ndarray, "h w"],
    degrees: Float[np.ndarray, " T"],
) -> tuple[Complex[np.ndarray, "T h w"], Float[np.ndarray, "T h w"]]:
    """Return a flow turned about its middle as prints are, its directions turned too."""
    H = rotations(degrees, len(flow))
    real, imaginary, area = (drawn(part, H) for part in (flow.real, flow.imag, shown))
    return (real + 1j * imaginary) * np.exp(-2j * np.deg2rad(degrees))[:, None, None], area


def _agreement(
    flow0: Complex[np.ndarray, "h w"],
    shown0: Float[np.ndarray, "h w"],
    flow1: Complex[np.ndarray, "T h w"],
    shown1: Float[np.ndarray, "T h w"],
) -> Float[np.ndarray, " T"]:
    """Return the best correlation of two flows over all shifts, times the root of its area."""
    size = [2 * side for side in flow0.shape]  # room, so that no shift wraps around
    fixed = [np.fft.fft2(x, size).conj() for x in (flow0, np.abs(flow0) ** 2, shown0)]
    moved = [np.fft.fft2(y, size) for y in (flow1, np.abs(flow1) ** 2, shown1)]

    def products(x: int, y: int) -> Float[np.ndarray, "T _ _"]:
        return np.fft.ifft2(fixed[x] * moved[y]).real

    power = products(1, 2) * products(2, 1)
    area = products(2, 2) / flow0.size
    ncc = products(0, 0) / np.sqrt(np.maximum(power, 1e-3))
    evidence = ncc * np.sqrt(np.maximum(area, 0))
    return np.where(area > MIN_OVERLAP, evidence, -1).max((1, 2))
