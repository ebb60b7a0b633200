"""Ridges correlated as a whole: over small turns, scales and shifts about an alignment.

Transforms are 2×3 matrices in frame pixels at 500 ppi; images at the network's resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.features.frame_features import Ridges
from ifvit.geometry.filters import shrink
from ifvit.geometry.transforms import coarser, compose, similarity
from ifvit.geometry.warp import drawn
from ifvit.registration.laid import network_transform

POOL = 4
"""Pixels along each side of those that overlap is counted in; the canvas is a multiple of it."""

FEW = 100
"""Shifts up to which a product for each is cheaper than the Fourier transform."""

MIN_OVERLAP = 0.08
"""Share of the frame that must be foreground in both prints."""


@dataclass(frozen=True)
class Search:
    """A grid around an alignment: turns in degrees, scales, and shifts ± pixels at 500 ppi."""

    turns: tuple[float, ...]
    scales: tuple[float, ...]
    shift: int


def search(
    ridges0: Ridges,
    ridges1: Ridges,
    H: Float[Array, "2 3"],
    grid: Search,
    count: int,
    config: ModelConfig,
) -> tuple[Float[Array, "count 2 3"], Float[Array, " count"]]:
    """Return the best turns, scales and shifts about an alignment, and the evidence for each.

    None is a neighbour of another.
    """
    factor = REFERENCE_PPI // config.ppi
    pairs = jnp.array([(turn, scale) for turn in grid.turns for scale in grid.scales])
    side = config.canvas * factor
    tried = jax.vmap(lambda pair: compose(H, _turned(pair[0], pair[1], side)))(pairs)
    reach = POOL * -(-grid.shift // (factor * POOL))
    evidence = _correlation(ridges0, ridges1, network_transform(tried, config), reach)
    which, y, x = jnp.meshgrid(*map(jnp.arange, evidence.shape), indexing="ij")
    made, found = [], []
    for _ in range(count):
        at, row, column = jnp.unravel_index(jnp.argmax(evidence), evidence.shape)
        offset = [peak(evidence[at, row], column), peak(evidence[at, :, column], row)]
        move = jnp.concatenate([jnp.eye(2), factor * (jnp.stack(offset) - reach)[:, None]], axis=1)
        made.append(compose(tried[at], move))
        found.append(evidence[at, row, column])
        # Less than a ridge period away it is the same place.
        near = (abs(which - at) <= 1) & (abs(y - row) <= 2) & (abs(x - column) <= 2)
        evidence = jnp.where(near, -2.0, evidence)
    return jnp.stack(made), jnp.stack(found)


def _turned(turn: Array, scale: Array, side: int) -> Float[Array, "2 3"]:
    """Return a turn (degrees) and a scaling about the frame's middle."""
    middle = (side - 1) / 2
    return similarity(turn, (middle, middle), scale)


def _correlation(
    ridges0: Ridges,
    ridges1: Ridges,
    transforms: Float[Array, "T 2 3"],
    reach: int,
) -> Float[Array, "T R R"]:
    """Return NCC times the root of the overlap's share, for each transform and each shift.

    What each print brings into the overlap is smooth, and is counted on a grid :data:`POOL` times
    coarser.
    """
    soft0, soft1 = (ridges.mask.astype(jnp.float32) for ridges in (ridges0, ridges1))
    image0, image1 = ridges0.image * soft0, drawn(ridges1.image * soft1, transforms)
    both = _shifted_products(image0, image1, reach)
    power0, power1, area0 = map(_pooled, (image0**2, image1**2, soft0))
    area1 = drawn(_pooled(soft1), coarser(transforms, POOL))
    between = _between(reach // POOL)
    first, second, area = (
        between @ (POOL**2 * _shifted_products(x, y, reach // POOL)) @ between.T
        for x, y in [(power0, area1), (area0, power1), (area0, area1)]
    )
    share = area / soft0.size
    ncc = both / jnp.sqrt(jnp.maximum(first * second, 1.0))
    return jnp.where(share > MIN_OVERLAP, ncc * jnp.sqrt(jnp.maximum(share, 0.0)), -1.0)


def _shifted_products(
    x: Float[Array, "S S"], y: Float[Array, "T S S"], reach: int
) -> Float[Array, "T R R"]:
    """Return the sum of x · y under every shift of y by up to ``reach``.

    By the Fourier transform, with room so that no shift wraps around; :data:`FEW` by themselves.
    """
    height, width = x.shape
    shifts = jnp.arange(-reach, reach + 1)
    if len(shifts) ** 2 <= FEW:
        padded = jnp.pad(x, reach)
        # Shifting y one way is shifting x the other.
        back = [
            padded[i : i + height, j : j + width]
            for i in reversed(range(len(shifts)))
            for j in reversed(range(len(shifts)))
        ]
        products = jnp.einsum("tyx,syx->ts", y, jnp.stack(back), precision="highest")
        return products.reshape(-1, len(shifts), len(shifts))
    size = (height + reach + reach % 2, width + reach + reach % 2)
    product = jnp.conj(jnp.fft.rfft2(x, size)) * jnp.fft.rfft2(y, size)
    return jnp.fft.irfft2(product, size)[:, shifts[:, None], shifts[None, :]]


def _pooled(image: Float[Array, "*A S S"]) -> Float[Array, "*A s s"]:
    return shrink(image, POOL)


def _between(reach: int) -> Float[np.ndarray, "R r"]:
    """Return the matrix that interpolates shifts of a coarse grid to those of the fine one."""
    fine = np.arange(-reach * POOL, reach * POOL + 1)[:, None] / POOL
    return np.maximum(1 - np.abs(fine - np.arange(-reach, reach + 1)), 0).astype(np.float32)


def peak(values: Float[Array, " S"], index: Array) -> Array:
    """Return the place of a maximum between the samples, by the parabola through three of them."""
    middle = jnp.clip(index, 1, len(values) - 2)
    left, top, right = values[middle - 1], values[middle], values[middle + 1]
    bend = left - 2 * top + right
    between = jnp.where(bend < 0, 0.5 * (left - right) / jnp.where(bend < 0, bend, -1.0), 0.0)
    return index + jnp.where(index == middle, jnp.clip(between, -0.5, 0.5), 0.0)
