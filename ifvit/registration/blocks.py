"""Ridges correlated block by block: around every coarse cell, under small shifts.

Displacements are in frame pixels at 500 ppi; images at the network's resolution.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ifvit.config import REFERENCE_PPI, STRIDE, ModelConfig
from ifvit.features.frame_features import Ridges
from ifvit.registration.laid import laid_on

ROWS = 4
"""Rows of a block's products that are summed before its Gaussian window, which hardly changes over
them, is laid on: a quarter of the work. Divides the canvas."""

TIE = 1e-3
"""Correlation that a block's shift by one pixel of the network has to gain, by its square."""


class Blocks(NamedTuple):
    """What every block found: the best shift tried, the correlation's slope and downward bend there
    (x and y, per pixel at 500 ppi), and the correlation itself, 0 where it says nothing."""

    place: Float[Array, "h w 2"]
    slope: Float[Array, "h w 2"]
    bend: Float[Array, "h w 2 2"]
    quality: Float[Array, "h w"]


def correlation(
    ridges0: Ridges,
    ridges1: Ridges,
    H: Float[Array, "2 3"],
    displacement: Float[Array, "h w 2"],
    config: ModelConfig,
    block: float,
    reach: int,
) -> Float[Array, "S S h w"]:
    """Return every cell's correlation under shifts (row, column) of print 1, 0 where too little of
    both prints is near.

    ``block`` is the standard deviation of the Gaussian window that a cell's surroundings are
    compared in, ``reach`` the farthest shift along each axis; both in pixels at 500 ppi.
    """
    factor = REFERENCE_PPI // config.ppi
    most = -(-reach // factor)
    image1, inside = laid_on(ridges1, H, displacement, config)
    soft0, soft1 = ridges0.mask.astype(jnp.float32), inside.astype(jnp.float32)
    image0, window = ridges0.image * soft0, _window(config, block)
    rows = window.reshape(config.cells, -1, ROWS).mean(axis=2)

    def block_sum(x: Array) -> Array:
        return rows @ _row_sums(x) @ window.T

    # What a block holds changes little over such small shifts, and is counted once for all.
    power = block_sum(image0**2 * soft1) * block_sum(soft0 * image1**2)
    shared = block_sum(soft0 * soft1) > 0.3 * float(window.sum(axis=1).max() ** 2)
    strength = jnp.where(shared, jax.lax.rsqrt(jnp.maximum(power, 1e-3)), 0.0)
    padded, (height, width), count = jnp.pad(image1, most), image0.shape, 2 * most + 1

    def moved_by(row: Array) -> Float[Array, "S r W"]:
        """Return the products' sums for one shift along the rows and all along the columns."""
        line = jax.lax.dynamic_slice_in_dim(padded, row, height)
        return jnp.stack([_row_sums(image0 * line[:, j : j + width]) for j in range(count)])

    sums = jax.lax.map(moved_by, jnp.arange(count))
    return strength * jnp.einsum("hy,stym,wm->sthw", rows, sums, window)


def each_best(ncc: Float[Array, "S S h w"], config: ModelConfig) -> Blocks:
    """Return what every block finds for itself.

    A cell whose best shift is the farthest tried counts as having none: its peak lies elsewhere.
    """
    count = len(ncc)
    # Along straight ridges all shifts are as good: of equal ones the smallest counts.
    away = np.square(np.indices((count, count)) - count // 2).sum(axis=0)[..., None, None]
    best = jnp.argmax((ncc - TIE * away).reshape(count**2, *ncc.shape[2:]), axis=0)
    row, column = best // count, best % count
    found = at_shifts(ncc, row, column, config)
    edge = (row == 0) | (column == 0) | (row == count - 1) | (column == count - 1)
    return found._replace(quality=jnp.where(edge, 0.0, ncc.max(axis=(0, 1))))


def at_shifts(
    ncc: Float[Array, "S S h w"],
    row: Int[Array, "h w"],
    column: Int[Array, "h w"],
    config: ModelConfig,
) -> Blocks:
    """Return what is found where every block is shifted as told."""
    factor, (count, _, *cells) = REFERENCE_PPI // config.ppi, ncc.shape
    flat = ncc.reshape(count, count, -1)
    rows, columns = row.reshape(-1), column.reshape(-1)
    slope, bend = _quadratic(jax.vmap(_around, in_axes=(2, 0, 0))(flat, rows, columns))
    place = jnp.stack([columns, rows], axis=-1) - count // 2
    quality = flat[rows, columns, jnp.arange(len(rows))]
    return Blocks(
        (factor * place).astype(jnp.float32).reshape(*cells, 2),
        (slope / factor).reshape(*cells, 2),
        (bend / factor**2).reshape(*cells, 2, 2),
        quality.reshape(*cells),
    )


def _window(config: ModelConfig, block: float) -> Float[np.ndarray, "h H"]:
    """Return the Gaussian weight of every pixel in every coarse cell's block, along one axis."""
    sigma = block * config.ppi / REFERENCE_PPI
    centre = STRIDE * np.arange(config.cells)[:, None] + (STRIDE - 1) / 2
    return np.exp(-0.5 * ((np.arange(config.canvas) - centre) / sigma) ** 2).astype(np.float32)


def _row_sums(image: Float[Array, "H W"]) -> Float[Array, "r W"]:
    return sum(image[row::ROWS] for row in range(1, ROWS)) + image[::ROWS]


def _around(ncc: Float[Array, "S S"], row: Array, column: Array) -> Float[Array, "3 3"]:
    last = ncc.shape[0] - 3
    start = (jnp.clip(row - 1, 0, last), jnp.clip(column - 1, 0, last))
    return jax.lax.dynamic_slice(ncc, start, (3, 3))


def _quadratic(
    around: Float[Array, "N 3 3"],
) -> tuple[Float[Array, "N 2"], Float[Array, "N 2 2"]]:
    """Return slope and downward bend, as (x, y), of the parabola through the samples at a peak."""
    left, right = around[:, 1, 0], around[:, 1, 2]
    above, below, middle = around[:, 0, 1], around[:, 2, 1], around[:, 1, 1]
    slope = jnp.stack([(right - left) / 2, (below - above) / 2], axis=-1)
    xx, yy = 2 * middle - left - right, 2 * middle - above - below
    xy = (around[:, 0, 2] + around[:, 2, 0] - around[:, 0, 0] - around[:, 2, 2]) / 4
    # Both bends are positive at a peak; the mixed one is kept from making a saddle of it.
    most = 0.95 * jnp.sqrt(jnp.maximum(xx * yy, 0.0))
    xy = jnp.clip(xy, -most, most)
    bend = jnp.stack([jnp.stack([xx, xy], -1), jnp.stack([xy, yy], -1)], axis=-2)
    return slope, jnp.maximum(bend, jnp.where(jnp.eye(2, dtype=bool), 0.0, -jnp.inf))
