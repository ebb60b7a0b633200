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
    """Coarse alignments to refine, and the matches that each of them rests on, padded to N.

    ``weight`` is a match's confidence, 0 for padding. Without weights the ridges decide alone.
    """

    H_0to1: Float[Array, "A 2 3"]
    points0: Float[Array, "A N 2"]
    points1: Float[Array, "A N 2"]
    weight: Float[Array, "A N"]


def starts_of(found: Sequence[Alignment], config: ModelConfig) -> Starts:
    """Return Module 1's alignments as starts, with the matches that agree with each."""
    points = np.zeros((2, len(found), config.cells**2, 2), np.float32)
    weight = np.zeros(points.shape[1:3], np.float32)
    for row, one in enumerate(found):
        count = one.num_inliers
        points[0, row, :count] = one.points0[one.inliers]
        points[1, row, :count] = one.points1[one.inliers]
        weight[row, :count] = one.confidence[one.inliers]
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

    def lay(rounds: int, H: Array, start: Array) -> tuple[Refined, Array]:
        displacement, quality = elastic(ridges0, ridges1, H, config, settings.elastic, rounds)
        H, displacement = _refit(H, displacement, quality, config, settings)
        ncc, overlap = agreement(ridges0, ridges1, H, displacement, config)
        laid = Refined(H, ncc, overlap, displacement, quality)
        return laid, laid.evidence + _support(H, displacement, start, starts, config, settings)

    def finish(H: Array, start: Array) -> tuple[Refined, Array]:
        found, _ = search(ridges0, ridges1, H, settings.fine, 1, config)
        return lay(settings.elastic.rounds, found[0], start)

    def place(H: Array, start: Array) -> tuple[Array, Array]:
        count = settings.places
        places, evidence = search(ridges0, ridges1, H, settings.wide, count, config)
        still = jnp.zeros((config.cells, config.cells, 2))
        support = partial(
            _support,
            displacement=still,
            start=start,
            starts=starts,
            config=config,
            settings=settings,
        )
        return places, evidence + jax.vmap(support)(places)

    each = jnp.arange(len(starts.H_0to1))
    places, evidence = jax.vmap(place)(starts.H_0to1, each)
    likely = jax.lax.top_k(evidence.reshape(-1), settings.places)[1]
    origin = likely // settings.places
    rough, value = jax.vmap(partial(lay, 1))(places.reshape(-1, 2, 3)[likely], origin)
    kept = jax.lax.top_k(value, settings.finished)[1]
    finished, value = jax.vmap(finish)(rough.H_0to1[kept], origin[kept])
    return jax.tree.map(lambda x: x[jnp.argmax(value)], finished)


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


def _support(
    H: Float[Array, "2 3"],
    displacement: Float[Array, "h w 2"],
    start: Array,
    starts: Starts,
    config: ModelConfig,
    settings: RefineConfig,
) -> Float[Array, ""]:
    """Return how far an alignment is borne out by the matches of its start, from 0 to a weight.

    Each match counts by its confidence, and by how near the alignment comes to it.
    """
    points0 = starts.points0[start]
    moved = displacement.reshape(-1, 2)[nearest_cell(points0, config)]
    placed = transform(H, points0 + moved)
    away = jnp.square(placed - starts.points1[start]).sum(-1) / settings.match_px**2
    most = jnp.maximum(starts.weight.sum(-1).max(), 1e-6)
    return settings.match_weight * (starts.weight[start] * jnp.exp(-0.5 * away)).sum() / most


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
