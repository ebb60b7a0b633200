"""Ridges correlated block by block: around every coarse cell, under small shifts.

Displacements are in frame pixels at 500 ppi; images at the network's resolution.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ifvit.config import REFERENCE_PPI, STRIDE, ModelConfig
from ifvit.features.frame_features import Ridges
from ifvit.geometry.filters import gaussian_weight
from ifvit.registration.laid import warp_ridges

ROWS = 4
"""Rows of products that are summed before a block's Gaussian window is applied: the window hardly
changes over them, and that takes a quarter of the work. The number divides the canvas."""

TIE = 1e-3
"""Penalty, in correlation, on a block's shift by one pixel of the network; it grows with the square
of the shift."""


class Blocks(NamedTuple):
    """The result for every block: the best shift tried, the correlation's slope and downward
    curvature there (x and y, per pixel at 500 ppi), and the correlation itself, 0 where there is
    none."""

    place: Float[np.ndarray, "h w 2"]
    slope: Float[np.ndarray, "h w 2"]
    bend: Float[np.ndarray, "h w 2 2"]
    quality: Float[np.ndarray, "h w"]


def correlation(
    ridges0: Ridges,
    ridges1: Ridges,
    H: Float[np.ndarray, "2 3"],
    displacement: Float[np.ndarray, "h w 2"],
    config: ModelConfig,
    block: float,
    reach: int,
) -> Float[np.ndarray, "S S h w"]:
    """Return every cell's correlation under shifts (row, column) of print 1, 0 where too little of
    both prints lies around the cell.

    ``block`` is the standard deviation of the Gaussian window in which a cell's surroundings are
    compared, ``reach`` the farthest shift along each axis; both in pixels at 500 ppi.
    """
    factor = REFERENCE_PPI // config.ppi
    most = -(-reach // factor)
    image1, inside = warp_ridges(ridges1, H, displacement, config)
    soft0, soft1 = ridges0.mask.astype(np.float32), inside.astype(np.float32)
    image0, (window, rows) = ridges0.image * soft0, _windows(config, block)

    def block_sum(x: Float[np.ndarray, "H W"]) -> Float[np.ndarray, "h w"]:
        return rows @ _row_sums(x) @ window.T

    # A block's power and foreground change little over such small shifts: computed once for all.
    power = block_sum(image0**2 * soft1) * block_sum(soft0 * image1**2)
    shared = block_sum(soft0 * soft1) > 0.3 * float(window.sum(axis=1).max() ** 2)
    strength = np.where(shared, 1 / np.sqrt(np.maximum(power, 1e-3)), 0).astype(np.float32)
    padded, (height, width), count = np.pad(image1, most), image0.shape, 2 * most + 1
    moved = np.lib.stride_tricks.sliding_window_view(padded, image0.shape)
    sums = np.empty((count, count, height // ROWS, width), np.float32)
    products = np.empty((count, height, width), np.float32)
    for row, made in enumerate(sums):
        np.multiply(image0, moved[row], out=products)
        made[:] = _row_sums(products)
    along = (sums.reshape(-1, width) @ window.T).reshape(count, count, height // ROWS, -1)
    return strength * (rows @ along)


def each_best(ncc: Float[np.ndarray, "S S h w"], config: ModelConfig) -> Blocks:
    """Return the best shift of every block, each block by itself.

    A cell whose best shift is the farthest tried counts as having none: its peak lies elsewhere.
    """
    count = len(ncc)
    # Along straight ridges all shifts correlate alike; among equal ones the smallest is taken.
    away = np.square(np.indices((count, count)) - count // 2).sum(axis=0)[..., None, None]
    best = (ncc - TIE * away).reshape(count**2, *ncc.shape[2:]).argmax(axis=0)
    row, column = best // count, best % count
    found = at_shifts(ncc, row, column, config)
    edge = (row == 0) | (column == 0) | (row == count - 1) | (column == count - 1)
    return found._replace(quality=np.where(edge, np.float32(0), ncc.max(axis=(0, 1))))


def at_shifts(
    ncc: Float[np.ndarray, "S S h w"],
    row: Int[np.ndarray, "h w"],
    column: Int[np.ndarray, "h w"],
    config: ModelConfig,
) -> Blocks:
    """Return the blocks' results at given shifts: the row and the column of each in ``ncc``."""
    factor, (count, _, *cells) = REFERENCE_PPI // config.ppi, ncc.shape
    flat = ncc.reshape(count, count, -1)
    rows, columns = row.reshape(-1), column.reshape(-1)
    slope, bend = _quadratic(_around(flat, rows, columns))
    place = np.stack([columns, rows], axis=-1) - count // 2
    quality = flat[rows, columns, np.arange(len(rows))]
    return Blocks(
        (factor * place).astype(np.float32).reshape(*cells, 2),
        (slope / factor).reshape(*cells, 2),
        (bend / factor**2).reshape(*cells, 2, 2),
        quality.reshape(*cells),
    )


@lru_cache(maxsize=32)
def _windows(
    config: ModelConfig, block: float
) -> tuple[Float[np.ndarray, "h H"], Float[np.ndarray, "h R"]]:
    """Return the Gaussian weight of every pixel in every coarse cell's block, along one axis, and
    its mean over each :data:`ROWS` pixels."""
    sigma = block * config.ppi / REFERENCE_PPI
    centre = STRIDE * np.arange(config.cells)[:, None] + (STRIDE - 1) / 2
    window = gaussian_weight(np.arange(config.canvas) - centre, sigma).astype(np.float32)
    return window, window.reshape(config.cells, -1, ROWS).mean(axis=2)


def _row_sums(image: Float[np.ndarray, "*B H W"]) -> Float[np.ndarray, "*B r W"]:
    first, second, *others = (image[..., row::ROWS, :] for row in (*range(1, ROWS), 0))
    total = first + second
    for other in others:
        total += other
    return total


def _around(
    ncc: Float[np.ndarray, "S S N"], row: Int[np.ndarray, " N"], column: Int[np.ndarray, " N"]
) -> Float[np.ndarray, "N 3 3"]:
    """Return each block's correlation at its own shift and at the eight around it."""
    last, near = ncc.shape[0] - 3, np.arange(3)
    y, x = ((place - 1).clip(0, last)[:, None] + near for place in (row, column))
    return ncc[y[:, :, None], x[:, None], np.arange(len(row))[:, None, None]]


def _quadratic(
    around: Float[np.ndarray, "N 3 3"],
) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, "N 2 2"]]:
    """Return slope and downward curvature, as (x, y), of the parabola through a peak's samples."""
    left, right = around[:, 1, 0], around[:, 1, 2]
    above, below, middle = around[:, 0, 1], around[:, 2, 1], around[:, 1, 1]
    slope = np.stack([(right - left) / 2, (below - above) / 2], axis=-1)
    xx, yy = 2 * middle - left - right, 2 * middle - above - below
    xy = (around[:, 0, 2] + around[:, 2, 0] - around[:, 0, 0] - around[:, 2, 2]) / 4
    # Both curvatures are positive at a peak; the mixed one is limited, so that it makes no saddle.
    most = 0.95 * np.sqrt(np.maximum(xx * yy, 0))
    xy = np.clip(xy, -most, most)
    bend = np.stack([np.stack([xx, xy], -1), np.stack([xy, yy], -1)], axis=-2)
    return slope, np.where(np.eye(2, dtype=bool), np.maximum(bend, 0), bend)
