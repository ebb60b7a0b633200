"""Ground truth of pairs of prints on the coarse grid.

``matches0`` holds for each cell of image 0 the index of its partner in image 1, or ``UNMATCHED``
where image 1 does not show that skin, or ``IGNORE`` where neither is certain.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ifvit.config import REFERENCE_PPI, STRIDE, ModelConfig
from ifvit.geometry.grid import cell_centres, frame_side, nearest_cell
from ifvit.synthesis import ImpressionParams, correspondence

UNMATCHED = -1
IGNORE = -2


class PairBatch(NamedTuple):
    """A training batch of Module 1, on canvases at the network's resolution."""

    image0: Float[Array, "B H W"]
    """Normalised canvases (:func:`ifvit.features.normalise.normalise`)."""
    image1: Float[Array, "B H W"]
    mask0: Bool[Array, "B h w"]
    """Foreground cells."""
    mask1: Bool[Array, "B h w"]
    matches0: Int[Array, "B N"]
    places1: Float[Array, "B N 2"]
    """Where the centres of image 0's cells lie in image 1, (column, row) in cells; valid where
    ``matches0`` names a cell."""
    genuine: Bool[Array, " B"]


def pair_correspondence(
    params0: ImpressionParams, params1: ImpressionParams, model: ModelConfig
) -> tuple[Float[Array, "N 2"], Bool[Array, " N"], Float[Array, "N 2"]]:
    """Map the cell centres of one pair 0→1 and 1→0: points in image 1, validity, points in 0."""
    side = frame_side(model)
    centres = jnp.asarray(cell_centres(model))
    points1, valid = correspondence(params0, params1, centres, (side, side))
    points0, _ = correspondence(params1, params0, centres, (side, side))
    return points1, valid, points0


def cell_matches(
    points1: Float[Array, "N 2"],
    valid0: Bool[Array, " N"],
    points0: Float[Array, "N 2"],
    mask0: Bool[Array, "h w"],
    mask1: Bool[Array, "h w"],
    model: ModelConfig,
) -> Int[Array, " N"]:
    """Turn an exact correspondence of one pair into coarse ground truth.

    ``points1`` are the cell centres of image 0 mapped to image 1, ``valid0`` where that is inside
    both contact regions, ``points0`` the cell centres of image 1 mapped to image 0; all in frame
    pixels at 500 ppi. As in LoFTR a match is mutual: each is the cell nearest to the other.
    A foreground cell is unmatched where it maps more than a cell outside image 1's foreground.
    """
    count = model.cells**2
    target = nearest_cell(points1, model)
    mutual = nearest_cell(points0, model)[target] == jnp.arange(count)
    own, other = mask0.reshape(-1), mask1.reshape(-1)
    match = own & valid0 & mutual & other[target]
    size = STRIDE * REFERENCE_PPI / model.ppi
    side = model.cells * size
    outside = ((points1 < -size) | (points1 > side + size)).any(-1)
    unmatched = own & ~valid0 & (outside | ~_grown(mask1).reshape(-1)[target])
    return jnp.where(match, target, jnp.where(unmatched, UNMATCHED, IGNORE)).astype(jnp.int32)


def places_of(points: Float[Array, "*B 2"], model: ModelConfig) -> Float[Array, "*B 2"]:
    """Return points of a frame, pixels at 500 ppi, as (column, row) in coarse cells."""
    size = STRIDE * REFERENCE_PPI / model.ppi
    return (points + 0.5) / size - 0.5


def _grown(mask: Bool[Array, "h w"]) -> Bool[Array, "h w"]:
    """Return the mask grown by one cell."""
    padded = jnp.pad(mask, 1)
    height, width = mask.shape
    shifts = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return jnp.stack(shifts).any(0)


def impostor_matches(matches0: Int[Array, "B N"], mask0: Bool[Array, "B h w"]) -> Array:
    """Return the ground truth of impostor pairs: no foreground cell has a match."""
    return jnp.where(mask0.reshape(matches0.shape), UNMATCHED, IGNORE).astype(jnp.int32)
