"""What a similarity leaves: the skin's own distortion, block by block, and how well ridges agree.

Around every coarse cell the enhanced ridges of both prints are compared under small shifts, and the
shifts smoothed over neighbouring cells. Five rounds, each from where the one before arrived: cells
whose ridges already lie on each other carry their neighbours near enough to find their own.

Points and displacements are in frame pixels at 500 ppi; images at the network's resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ifvit.config import REFERENCE_PPI, STRIDE, ModelConfig
from ifvit.features.canvas import Ridges
from ifvit.geometry.transforms import coarser
from ifvit.geometry.warp import warp


@dataclass(frozen=True)
class ElasticConfig:
    """Settings of the elastic step. Lengths in pixels at 500 ppi."""

    rounds: int = 5
    block: float = 20.0
    """Standard deviation of the Gaussian window that a block is compared in: about two ridges."""
    reach: int = 6
    """Displacements tried in a round, ±: more than half a ridge period, less than a whole one."""
    min_ncc: float = 0.3
    """Correlation below which a block says nothing."""
    smoothing_cells: float = 1.5
    """Standard deviation over which neighbouring blocks' displacements are averaged."""
    stiffness: float = 0.01
    """Weight of staying where it is, beside the squared correlations of the blocks around."""
    straightness: float = 0.05
    """Weight of moving alike from cell to cell, beside the same."""


ELASTIC_CONFIG = ElasticConfig()


ROWS = 4
"""Rows of a block's products that are summed before its Gaussian window, which hardly changes over
them, is laid on: a quarter of the work. Divides the canvas."""

TIE = 1e-3
"""Correlation that a block's shift by one pixel of the network has to gain, by its square."""


def network_transform(H: Float[Array, "*A 2 3"], config: ModelConfig) -> Float[Array, "*A 2 3"]:
    """Return a transform of pixels at 500 ppi as one of the network's pixels."""
    return coarser(H, REFERENCE_PPI / config.ppi)


def elastic(
    ridges0: Ridges,
    ridges1: Ridges,
    H: Float[Array, "2 3"],
    config: ModelConfig,
    settings: ElasticConfig = ELASTIC_CONFIG,
    rounds: int | None = None,
    before: Float[Array, "h w 2"] | None = None,
) -> tuple[Float[Array, "h w 2"], Float[Array, "h w"]]:
    """Return each cell's displacement before ``H`` is applied, and its blocks' correlation.

    ``rounds`` replaces that of the settings; ``before`` is where earlier rounds arrived.
    """
    displacement = jnp.zeros((config.cells, config.cells, 2)) if before is None else before
    quality = jnp.zeros((config.cells, config.cells))
    for _ in range(settings.rounds if rounds is None else rounds):
        found = _blocks(ridges0, ridges1, H, displacement, config, settings)
        displacement, quality = _smooth(found, displacement, settings), found.quality
    return displacement, quality


def agreement(
    ridges0: Ridges,
    ridges1: Ridges,
    H: Float[Array, "2 3"],
    displacement: Float[Array, "h w 2"],
    config: ModelConfig,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return NCC over the overlap, and the overlap's share of the frame."""
    laid = laid_on(ridges1, H, displacement, config)
    mask = ridges0.mask & laid.mask
    image0, image1 = jnp.where(mask, ridges0.image, 0.0), jnp.where(mask, laid.image, 0.0)
    power = (image0**2).sum() * (image1**2).sum()
    return (image0 * image1).sum() / jnp.sqrt(jnp.maximum(power, 1.0)), mask.mean()


def peak(values: Float[Array, " S"], index: Array) -> Array:
    """Return the place of a maximum between the samples, by the parabola through three of them."""
    middle = jnp.clip(index, 1, len(values) - 2)
    left, top, right = values[middle - 1], values[middle], values[middle + 1]
    bend = left - 2 * top + right
    between = jnp.where(bend < 0, 0.5 * (left - right) / jnp.where(bend < 0, bend, -1.0), 0.0)
    return index + jnp.where(index == middle, jnp.clip(between, -0.5, 0.5), 0.0)


def laid_on(
    ridges: Ridges, H: Float[Array, "2 3"], displacement: Float[Array, "h w 2"], config: ModelConfig
) -> Ridges:
    """Draw a print in the other's frame through displacement and transform, bilinear."""
    field = displacement * config.ppi / REFERENCE_PPI
    drawn = warp(ridges.image, ridges.mask, network_transform(H, config)[None], field[None])
    image, inside = drawn[0][0], drawn[1][0]
    return Ridges(jnp.where(inside, image, 0.0), inside)


class _Blocks(NamedTuple):
    """What every block found: the best shift tried, the correlation's slope and downward bend there
    (x and y, per pixel at 500 ppi), and the correlation itself, 0 where it says nothing."""

    place: Float[Array, "h w 2"]
    slope: Float[Array, "h w 2"]
    bend: Float[Array, "h w 2 2"]
    quality: Float[Array, "h w"]


def _window(config: ModelConfig, settings: ElasticConfig) -> Float[np.ndarray, "h H"]:
    """Return the Gaussian weight of every pixel in every coarse cell's block, along one axis."""
    sigma = settings.block * config.ppi / REFERENCE_PPI
    centre = STRIDE * np.arange(config.cells)[:, None] + (STRIDE - 1) / 2
    return np.exp(-0.5 * ((np.arange(config.canvas) - centre) / sigma) ** 2).astype(np.float32)


def _blocks(
    ridges0: Ridges,
    ridges1: Ridges,
    H: Float[Array, "2 3"],
    displacement: Float[Array, "h w 2"],
    config: ModelConfig,
    settings: ElasticConfig,
) -> _Blocks:
    """Compare every cell's surroundings under small shifts; see :class:`_Blocks`.

    A cell whose best shift is the farthest tried counts as having none: its peak lies elsewhere.
    """
    factor = REFERENCE_PPI // config.ppi
    reach = -(-settings.reach // factor)
    image1, inside = laid_on(ridges1, H, displacement, config)
    soft0, soft1 = ridges0.mask.astype(jnp.float32), inside.astype(jnp.float32)
    image0, window = ridges0.image * soft0, _window(config, settings)
    rows = window.reshape(config.cells, -1, ROWS).mean(axis=2)

    def block_sum(x: Array) -> Array:
        return rows @ _row_sums(x) @ window.T

    # What a block holds changes little over such small shifts, and is counted once for all.
    power = block_sum(image0**2 * soft1) * block_sum(soft0 * image1**2)
    shared = block_sum(soft0 * soft1) > 0.3 * float(window.sum(axis=1).max() ** 2)
    strength = jnp.where(shared, jax.lax.rsqrt(jnp.maximum(power, 1e-3)), 0.0)
    padded, (height, width) = jnp.pad(image1, reach), image0.shape
    count = 2 * reach + 1
    moved = [padded[i : i + height, j : j + width] for i in range(count) for j in range(count)]
    sums = jnp.stack([_row_sums(image0 * shifted) for shifted in moved])
    ncc = strength * jnp.einsum("hy,syx,wx->shw", rows, sums, window)
    ncc = ncc.reshape(count, count, -1)
    # Along straight ridges all shifts are as good: of equal ones the smallest counts.
    away = np.square(np.indices((count, count)) - reach).sum(axis=0)[..., None]
    best = jnp.argmax((ncc - TIE * away).reshape(count * count, -1), axis=0)
    row, column = best // count, best % count
    edge = (row == 0) | (column == 0) | (row == count - 1) | (column == count - 1)
    quality = jnp.where(edge, 0.0, ncc.max(axis=(0, 1)))
    around = jax.vmap(_around, in_axes=(2, 0, 0))(ncc, row, column)
    slope, bend = _quadratic(around)
    place = jnp.stack([column, row], axis=-1) - reach
    shape = (config.cells, config.cells)
    return _Blocks(
        (factor * place).reshape(*shape, 2),
        (slope / factor).reshape(*shape, 2),
        (bend / factor**2).reshape(*shape, 2, 2),
        quality.reshape(shape),
    )


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


def _smooth(
    found: _Blocks, before: Float[Array, "h w 2"], settings: ElasticConfig
) -> Float[Array, "h w 2"]:
    """Return the displacements that the blocks around each cell agree on, by moving least squares:
    about each cell an affine map, which goes on where skin is stretched and no block says so yet.

    Each block says where its parabola has its top, and by its bend in which direction it knows:
    along straight ridges it does not, and leaves that to neighbours whose ridges run otherwise.
    """
    cells = np.arange(len(before))
    step = cells - cells[:, None]
    near = np.exp(-0.5 * (step / settings.smoothing_cells) ** 2)
    powers = [(near * step**n).astype(np.float32) for n in range(3)]
    weight = jnp.maximum(found.quality - settings.min_ncc, 0.0) ** 2
    bend = found.bend * weight[..., None, None]
    pull = jnp.einsum("hwij,hwj->hwi", bend, before + found.place)
    pull = pull + found.slope * weight[..., None]

    def moment(y: int, x: int, of: Array) -> Array:
        return jnp.einsum("ih,hw...,jw->ij...", powers[y], of, powers[x])

    basis = [(0, 0), (0, 1), (1, 0)]  # powers of (y, x): the value, its slopes along x and y
    normal = [[moment(a[0] + b[0], a[1] + b[1], bend) for b in basis] for a in basis]
    total = jnp.concatenate([jnp.concatenate(row, axis=-1) for row in normal], axis=-2)
    moved = jnp.concatenate([moment(*a, pull) for a in basis], axis=-1)
    stiff = np.diag([settings.stiffness] * 2 + [settings.straightness] * 4).astype(np.float32)
    return jnp.linalg.solve(total + stiff, moved[..., None])[..., :2, 0]
