"""Ridges correlated as a whole: over small turns, scales and shifts about an alignment.

Transforms are 2×3 matrices in frame pixels at 500 ppi; images at the network's resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.features.frame_features import Ridges
from ifvit.geometry.filters import shrink
from ifvit.geometry.transforms import coarser, compose, similarity
from ifvit.geometry.warp import drawn
from ifvit.registration.laid import network_transform

POOL = 4
"""Side, in pixels, of the blocks in which overlap is counted; the canvas is a multiple of it."""

FEW = 100
"""Number of shifts up to which one product for each is cheaper than the Fourier transform."""

MIN_OVERLAP = 0.08
"""Share of the frame that must be foreground in both prints."""


@dataclass(frozen=True)
class Search:
    """A search grid around an alignment: turns in degrees, scales, and the farthest shift in pixels
    at 500 ppi."""

    turns: tuple[float, ...]
    scales: tuple[float, ...]
    shift: int


def search(
    ridges0: Ridges,
    ridges1: Ridges,
    H: Float[np.ndarray, "2 3"],
    grid: Search,
    count: int,
    config: ModelConfig,
) -> tuple[Float[np.ndarray, "count 2 3"], Float[np.ndarray, " count"]]:
    """Return the ``count`` best placements about an alignment, and the evidence for each.

    A placement is a turn, a scale and a shift from the grid; no two of them are neighbours.
    """
    factor = REFERENCE_PPI // config.ppi
    middle = (config.canvas * factor - 1) / 2
    turns, scales = np.meshgrid(grid.turns, grid.scales, indexing="ij")
    tried = compose(H, similarity(turns.ravel(), (middle, middle), scales.ravel()))
    reach = POOL * -(-grid.shift // (factor * POOL))
    evidence = _correlation(ridges0, ridges1, network_transform(tried, config), reach)
    ways, offsets, found = [], [], []
    for _ in range(count):
        at, row, column = map(int, np.unravel_index(evidence.argmax(), evidence.shape))
        ways.append(at)
        offsets.append([peak(evidence[at, row], column), peak(evidence[at, :, column], row)])
        found.append(evidence[at, row, column])
        # A placement less than a ridge period away is the same one.
        near = [
            slice(max(place - r, 0), place + r + 1) for place, r in ((at, 1), (row, 2), (column, 2))
        ]
        evidence[tuple(near)] = -2
    moves = np.tile(np.eye(2, 3), (count, 1, 1))
    moves[..., 2] = factor * (np.array(offsets) - reach)
    return compose(tried[ways], moves), np.array(found)


def _correlation(
    ridges0: Ridges,
    ridges1: Ridges,
    transforms: Float[np.ndarray, "T 2 3"],
    reach: int,
) -> Float[np.ndarray, "T R R"]:
    """Return NCC times the root of the overlap's share, for each transform and each shift.

    The area and the power that each print has in the overlap vary smoothly with the shift, and are
    computed on a grid :data:`POOL` times coarser.
    """
    soft0, soft1 = (ridges.mask.astype(np.float32) for ridges in (ridges0, ridges1))
    image0, image1 = ridges0.image * soft0, drawn(ridges1.image * soft1, transforms)
    both = _shifted_products(image0, image1, reach)
    power0, power1, area0 = (shrink(x, POOL) for x in (image0**2, image1**2, soft0))
    area1 = drawn(shrink(soft1, POOL), coarser(transforms, POOL))
    between = _between(reach // POOL)
    first, second, area = (
        between @ (POOL**2 * _shifted_products(x, y, reach // POOL)) @ between.T
        for x, y in [(power0, area1), (area0, power1), (area0, area1)]
    )
    share = area / soft0.size
    ncc = both / np.sqrt(np.maximum(first * second, 1))
    return np.where(share > MIN_OVERLAP, ncc * np.sqrt(np.maximum(share, 0)), -1)


def _shifted_products(
    x: Float[np.ndarray, "S S"], y: Float[np.ndarray, "T S S"], reach: int
) -> Float[np.ndarray, "T R R"]:
    """Return the sum of x · y under every shift of y by up to ``reach``.

    The Fourier transform computes it, padded so that no shift wraps around; up to :data:`FEW`
    shifts are computed one by one.
    """
    height, width = x.shape
    shifts = np.arange(-reach, reach + 1)
    if len(shifts) ** 2 <= FEW:
        # Shifting y one way is shifting x the other.
        padded = np.pad(x, reach)
        back = np.lib.stride_tricks.sliding_window_view(padded, (height, width))[::-1, ::-1]
        products = y.reshape(len(y), -1) @ back.reshape(len(shifts) ** 2, -1).T
        return products.reshape(-1, len(shifts), len(shifts))
    size = (height + reach + reach % 2, width + reach + reach % 2)
    product = np.conj(np.fft.rfft2(x, size)) * np.fft.rfft2(y, size)
    return np.fft.irfft2(product, size)[:, shifts[:, None], shifts[None, :]]


def _between(reach: int) -> Float[np.ndarray, "R r"]:
    """Return the matrix that interpolates shifts of a coarse grid to those of the fine one."""
    fine = np.arange(-reach * POOL, reach * POOL + 1)[:, None] / POOL
    return np.maximum(1 - np.abs(fine - np.arange(-reach, reach + 1)), 0).astype(np.float32)


def peak(values: Float[np.ndarray, " S"], index: int) -> float:
    """Return the place of a maximum between the samples, by the parabola through three of them."""
    if not 0 < index < len(values) - 1:
        return float(index)
    left, top, right = (float(value) for value in values[index - 1 : index + 2])
    bend = left - 2 * top + right
    between = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return index + min(max(between, -0.5), 0.5)
