"""From a coarse alignment to one below the cell: two prints' ridges laid on each other.

Coarse cells are two ridge periods wide, so that their matches place a print to within a few pixels.
Here the enhanced ridges themselves are correlated: as a whole, over small rotations, scales and
shifts, where minutiae and curvature leave one place only; then block by block
(:mod:`ifvit.pipeline.elastic`). The normalised correlation that is reached is the field's measure
of how well two prints agree ridge by ridge.

Transforms are 2×3 matrices in frame pixels at 500 ppi; images at the network's resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ifvit.config import ModelConfig
from ifvit.data.aligned import compose, fit_similarity, inverse, transform
from ifvit.data.pairs import cell_centres, nearest_cell
from ifvit.pipeline.alignment import Alignment
from ifvit.pipeline.correlate import Search, search
from ifvit.pipeline.elastic import (
    ELASTIC_CONFIG,
    ElasticConfig,
    Ridges,
    agreement,
    elastic,
)
from ifvit.pipeline.geometry import apply
from ifvit.pipeline.matched import Flat, between_cells, lay_flat

WIDE = Search((-10, -8, -6, -4, -2, 0, 2, 4, 6, 8, 10), (1.0,), 32)
FINE = Search((-1.5, -0.75, 0, 0.75, 1.5), (0.97, 1.0, 1.03), 6)


@dataclass(frozen=True)
class RefineConfig:
    """Settings of the refinement."""

    wide: Search = WIDE
    """First the error of the coarse alignment, which is a few degrees and up to a coarse cell."""
    fine: Search = FINE
    """Skin is stretched by a few per cent, as a whole too."""
    places: int = 16
    """Places of the wide search that are followed for one elastic round."""
    finished: int = 8
    """Those of them that are followed to the end."""
    elastic: ElasticConfig = ELASTIC_CONFIG
    match_weight: float = 0.3
    """Weight of Module 1's matches beside the correlation of the ridges."""
    match_px: float = 8.0
    """Distance at which a match still counts for an alignment: half a coarse cell."""


REFINE_CONFIG = RefineConfig()


class Refined(NamedTuple):
    """A refined alignment.

    ``ncc`` is the correlation of the ridges over the overlap, distortion removed, in [-1, 1];
    ``overlap`` its share of the frame; ``displacement`` what the skin's distortion adds, for each
    coarse cell: the point x of frame 0 shows the skin of ``H_0to1(x + displacement)``, pixels at
    500 ppi; ``block_ncc`` how well each cell's surroundings agree, 0 where nothing can be said.
    """

    H_0to1: Float[Array, "*A 2 3"]
    ncc: Float[Array, "*A"]
    overlap: Float[Array, "*A"]
    displacement: Float[Array, "*A h w 2"]
    block_ncc: Float[Array, "*A h w"]

    @property
    def evidence(self) -> Float[Array, "*A"]:
        """Return the correlation weighed by the root of its area: what chance reaches as rarely."""
        return self.ncc * jnp.sqrt(self.overlap)


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


@partial(jax.jit, static_argnames=("config", "settings"))
def refine(
    ridges0: Ridges,
    ridges1: Ridges,
    starts: Starts,
    config: ModelConfig,
    settings: RefineConfig = REFINE_CONFIG,
) -> Refined:
    """Refine A coarse alignments of one pair and return the one of most evidence.

    Deterministic; nothing is raised. Ridges one period off look alike, so that several places of
    each alignment are followed, many roughly and few to the end; and what Module 1 matched, which
    minutiae and curvature told it, is evidence beside the ridges.
    """
    flats = jax.vmap(partial(lay_flat, ridges1, config=config))(*starts)
    most = jnp.maximum(starts.weight.sum(-1).max(), 1e-6)

    def support(H: Array, displacement: Array, flat: Flat) -> Array:
        return settings.match_weight * _supported(H, displacement, flat, config, settings) / most

    def lay(rounds: int, H: Array, origin: Array) -> tuple[Refined, Array]:
        flat = jax.tree.map(lambda x: x[origin], flats)
        displacement, quality = elastic(ridges0, flat.ridges, H, config, settings.elastic, rounds)
        H, displacement = _refit(H, displacement, quality, config, settings)
        ncc, overlap = agreement(ridges0, flat.ridges, H, displacement, config)
        laid = Refined(H, ncc, overlap, displacement, quality)
        return laid, laid.evidence + support(H, displacement, flat)

    def finish(H: Array, origin: Array) -> tuple[Refined, Array]:
        ridges = jax.tree.map(lambda x: x[origin], flats.ridges)
        found, _ = search(ridges0, ridges, H, settings.fine, 1, config)
        return lay(settings.elastic.rounds, found[0], origin)

    def place(flat: Flat) -> tuple[Array, Array]:
        count, still = settings.places, jnp.zeros_like(flat.displacement)
        found, evidence = search(ridges0, flat.ridges, jnp.eye(2, 3), settings.wide, count, config)
        return found, evidence + jax.vmap(lambda H: support(H, still, flat))(found)

    places, evidence = jax.vmap(place)(flats)
    likely = jax.lax.top_k(evidence.reshape(-1), settings.places)[1]
    origin = likely // settings.places
    rough, value = jax.vmap(partial(lay, 1))(places.reshape(-1, 2, 3)[likely], origin)
    kept = jax.lax.top_k(value, settings.finished)[1]
    finished, value = jax.vmap(finish)(rough.H_0to1[kept], origin[kept])
    best = jnp.argmax(value)
    laid = jax.tree.map(lambda x: x[best], finished)
    start = origin[kept][best]
    return _unflattened(
        (ridges0, ridges1), laid, starts.H_0to1[start], flats.displacement[start], config, settings
    )


def _unflattened(
    ridges: tuple[Ridges, Ridges],
    laid: Refined,
    H_0to1: Float[Array, "2 3"],
    displacement: Float[Array, "h w 2"],
    config: ModelConfig,
    settings: RefineConfig,
) -> Refined:
    """Return a refinement of a flat print 1 as one of print 1 itself, which is drawn only once."""
    centres = cell_centres(config)
    flat = transform(laid.H_0to1, centres + laid.displacement.reshape(-1, 2))
    moved = (flat + between_cells(displacement, flat, config) - centres).reshape(displacement.shape)
    H, rest = _refit(H_0to1, moved, laid.block_ncc, config, settings)
    ncc, overlap = agreement(*ridges, H, rest, config)
    return Refined(H, ncc, overlap, rest, laid.block_ncc)


@partial(jax.jit, static_argnames=("config", "settings"))
def refine_pairs(
    ridges0: Ridges,
    ridges1: Ridges,
    starts: Starts,
    config: ModelConfig,
    settings: RefineConfig = REFINE_CONFIG,
) -> Refined:
    """Refine the coarse alignments of P pairs, whose arrays have a leading axis P, as ``refine``.

    One after another, since each fills the cores by itself.
    """
    each = (ridges0, ridges1, starts)
    return jax.lax.map(lambda pair: refine(*pair, config, settings), each)


def _supported(
    H: Float[Array, "2 3"],
    displacement: Float[Array, "h w 2"],
    flat: Flat,
    config: ModelConfig,
    settings: RefineConfig,
) -> Float[Array, ""]:
    """Return how many matches bear an alignment out, each by its confidence.

    And by how near the alignment comes to it.
    """
    moved = displacement.reshape(-1, 2)[nearest_cell(flat.points0, config)]
    placed = transform(H, flat.points0 + moved)
    away = jnp.square(placed - flat.points1).sum(-1) / settings.match_px**2
    return (flat.weight * jnp.exp(-0.5 * away)).sum()


def _refit(
    H: Float[Array, "2 3"],
    displacement: Float[Array, "h w 2"],
    quality: Float[Array, "h w"],
    config: ModelConfig,
    settings: RefineConfig,
) -> tuple[Float[Array, "2 3"], Float[Array, "h w 2"]]:
    """Return the similarity that the blocks agree on, and what then remains to be displaced."""
    centres = cell_centres(config)
    moved = centres + displacement.reshape(-1, 2)
    fitted = fit_similarity(centres, moved, quality.reshape(-1) > settings.elastic.min_ncc)
    remaining = transform(inverse(fitted), moved) - centres
    return compose(H, fitted), remaining.reshape(displacement.shape)
