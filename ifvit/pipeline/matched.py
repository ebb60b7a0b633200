"""What Module 1's matches say beside an alignment: the distortion, and print 1 drawn without it.

A similarity places a print as a whole. Skin that was dragged, and a sensor that a finger was swept
over now faster and now slower, leave a tenth of the print's length between two ends of it, which is
several ridges. Dense matches know where each part went, and print 1 is drawn in print 0's frame
accordingly before ridges are laid on ridges (:mod:`ifvit.pipeline.refine`).

Points and displacements are in frame pixels at 500 ppi; images at the network's resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float

from ifvit.config import REFERENCE_PPI, STRIDE, ModelConfig
from ifvit.data.aligned import inverse, transform
from ifvit.data.pairs import cell_centres, frame_side
from ifvit.pipeline.alignment import Alignment
from ifvit.pipeline.elastic import Ridges, laid_on
from ifvit.pipeline.geometry import apply

DOUBT_PX = 10.0
"""Distance from what the others say at which a match counts for a quarter: as far as it may be
wrong by, Module 1's cells being 16 px wide."""

NEAR_CELLS = 3.0
"""Standard deviation over which matches speak for each other's skin."""

STIFFNESS = 1.0
"""Matches that it takes, each of confidence 1, to believe in half of what they show."""

ROUNDS = 3


class Starts(NamedTuple):
    """Coarse alignments to refine, and the matches near each of them, padded to N.

    ``weight`` is a match's confidence, 0 for padding. Without weights the ridges decide alone.
    """

    H_0to1: Float[Array, "A 2 3"]
    points0: Float[Array, "A N 2"]
    points1: Float[Array, "A N 2"]
    weight: Float[Array, "A N"]


NEAR_PX = 30.0
"""Distance from an alignment within which a match may be of it: what a tenth of stretch makes of
half a print."""


def starts_of(found: Sequence[Alignment], config: ModelConfig) -> Starts:
    """Return Module 1's alignments as starts, with the matches that lie near each."""
    points = np.zeros((2, len(found), config.cells**2, 2), np.float32)
    weight = np.zeros(points.shape[1:3], np.float32)
    for row, one in enumerate(found):
        away = np.linalg.norm(apply(one.H_0to1, one.points0) - one.points1, axis=1)
        near = np.flatnonzero(away <= NEAR_PX)
        points[0, row, : len(near)] = one.points0[near]
        points[1, row, : len(near)] = one.points1[near]
        weight[row, : len(near)] = one.confidence[near]
    H = jnp.asarray([one.H_0to1 for one in found], jnp.float32)
    return Starts(H, jnp.asarray(points[0]), jnp.asarray(points[1]), jnp.asarray(weight))


class Flat(NamedTuple):
    """Print 1 laid in print 0's frame by an alignment and its matches, and where these then lie.

    ``displacement`` is what :func:`matched_displacement` says.
    """

    ridges: Ridges
    displacement: Float[Array, "h w 2"]
    points0: Float[Array, "K 2"]
    points1: Float[Array, "K 2"]
    weight: Float[Array, " K"]


def lay_flat(
    ridges1: Ridges,
    H_0to1: Float[Array, "2 3"],
    points0: Float[Array, "K 2"],
    points1: Float[Array, "K 2"],
    weight: Float[Array, " K"],
    config: ModelConfig,
) -> Flat:
    """Draw print 1 in print 0's frame, without the distortion that the matches show."""
    displacement = matched_displacement(H_0to1, points0, points1, weight, config)
    there = transform(inverse(H_0to1), points1) - between_cells(displacement, points0, config)
    ridges = laid_on(ridges1, H_0to1, displacement, config)
    return Flat(ridges, displacement, points0, there, weight)


def matched_displacement(
    H_0to1: Float[Array, "2 3"],
    points0: Float[Array, "K 2"],
    points1: Float[Array, "K 2"],
    weight: Float[Array, " K"],
    config: ModelConfig,
) -> Float[Array, "h w 2"]:
    """Return what must be added to each cell's centre for ``H_0to1`` to take it where matches go.

    ``weight`` is each match's confidence, 0 for none at all. First the affine map that most agree
    with, by least squares that trust a match the less the farther it is from it; then what is left,
    averaged over the neighbourhood.
    """
    side = frame_side(config)

    def basis(points: Float[Array, "P 2"]) -> Float[Array, "P 3"]:
        scaled = (points - (side - 1) / 2) / (side / 4)
        return jnp.concatenate([scaled, jnp.ones((len(points), 1))], axis=1)

    apart = transform(inverse(H_0to1), points1) - points0
    rows, fitted, trust = basis(points0), jnp.zeros((3, 2)), weight
    for _ in range(ROUNDS):
        away = jnp.square(apart - rows @ fitted).sum(-1) / DOUBT_PX**2
        trust = weight / jnp.square(1 + away)
        normal = (rows * trust[:, None]).T @ rows + STIFFNESS * jnp.eye(3)
        fitted = jnp.linalg.solve(normal, (rows * trust[:, None]).T @ apart)
    centres = cell_centres(config)
    near = NEAR_CELLS * STRIDE * REFERENCE_PPI / config.ppi
    distance = jnp.square(centres[:, None] - points0).sum(-1)
    kernel = trust * jnp.exp(-0.5 * distance / near**2)
    rest = kernel @ (apart - rows @ fitted) / (kernel.sum(1, keepdims=True) + STIFFNESS)
    return (basis(centres) @ fitted + rest).reshape(config.cells, config.cells, 2)


def between_cells(
    displacement: Float[Array, "h w 2"], points: Float[Array, "P 2"], config: ModelConfig
) -> Float[Array, "P 2"]:
    """Read a displacement at points of the frame, bilinear; beyond the outer cells as there."""
    cell = STRIDE * REFERENCE_PPI / config.ppi
    x, y = ((points + 0.5) / cell - 0.5).T
    read = [map_coordinates(displacement[..., i], [y, x], order=1, mode="nearest") for i in (0, 1)]
    return jnp.stack(read, axis=-1)
