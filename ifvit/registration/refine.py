"""From a coarse alignment to one below the cell: two prints' ridges laid on each other.

Coarse cells are two ridge periods wide, so that their matches place a print to within a few pixels.
Here the enhanced ridges themselves are correlated: as a whole, over small rotations, scales and
shifts, where minutiae and curvature leave one place only; then block by block
(:mod:`ifvit.registration.elastic`). The normalised correlation that is reached is the field's
measure of how well two prints agree ridge by ridge.

Transforms are 2×3 matrices in frame pixels at 500 ppi; images at the network's resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ifvit.config import ModelConfig
from ifvit.features.frame_features import Ridges
from ifvit.geometry.grid import cell_centres, nearest_cell
from ifvit.geometry.transforms import apply, compose, fit_similarity, invert
from ifvit.registration.correlate import Search, search
from ifvit.registration.elastic import ELASTIC_CONFIG, ElasticConfig, elastic
from ifvit.registration.laid import agreement
from ifvit.registration.rectify import Flat, Starts, between_cells, lay_flat

Tree = TypeVar("Tree")

WIDE = Search((-6, -4, -2, 0, 2, 4, 6), (1.0,), 32)
FINE = Search((-1.5, -0.75, 0, 0.75, 1.5), (0.97, 1.0, 1.03), 6)


@dataclass(frozen=True)
class RefineConfig:
    """Settings of the refinement."""

    wide: Search = WIDE
    """First the error of the coarse alignment, which is a few degrees and up to a coarse cell."""
    fine: Search = FINE
    """Skin is stretched by a few per cent, as a whole too."""
    places: int = 8
    """Places of the wide search that are followed for one elastic round."""
    straightened: int = 4
    """Those of them that are searched finely, and followed for one round from there."""
    finished: int = 2
    """Those of them that are followed to the end."""
    elastic: ElasticConfig = ELASTIC_CONFIG
    match_weight: float = 0.6
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
    steps = _Steps(ridges0, flats, most, config, settings)
    placed, value = jax.vmap(steps.place)(flats)
    origin = jnp.repeat(jnp.arange(len(placed)), settings.places)
    H, origin = _best(settings.places, value.reshape(-1), (placed.reshape(-1, 2, 3), origin))
    laid, value = jax.vmap(steps.rough)(H, origin)
    laid, origin = _best(settings.straightened, value, (laid, origin))
    laid, value = jax.vmap(steps.straighten)(laid.H_0to1, origin)
    laid, origin = _best(settings.finished, value, (laid, origin))
    laid, value = jax.vmap(steps.finish)(laid.H_0to1, laid.displacement, origin)
    laid, start = jax.tree.map(lambda x: x[0], _best(1, value, (laid, origin)))
    return _unflattened(
        (ridges0, ridges1), laid, starts.H_0to1[start], starts.displacement[start], config, settings
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
    flat = apply(laid.H_0to1, centres + laid.displacement.reshape(-1, 2))
    moved = (flat + between_cells(displacement, flat, config) - centres).reshape(displacement.shape)
    H, rest = _refit(H_0to1, moved, laid.block_ncc, config, settings)
    ncc, overlap = agreement(*ridges, H, rest, config)
    return Refined(H, ncc, overlap, rest, laid.block_ncc)


class _Steps(NamedTuple):
    """What is done with a place of print 1 on print 0, each step with fewer of them.

    Each returns where it is laid now, and what speaks for it: ridges, and the matches' support as
    a share of what the best start has (``most``). ``origin`` is the start that a place is of.
    """

    ridges0: Ridges
    flats: Flat
    most: Float[Array, ""]
    config: ModelConfig
    settings: RefineConfig

    def place(self, flat: Flat) -> tuple[Float[Array, "P 2 3"], Float[Array, " P"]]:
        """Return the most likely places of a whole start."""
        wide, count = self.settings.wide, self.settings.places
        found, evidence = search(self.ridges0, flat.ridges, jnp.eye(2, 3), wide, count, self.config)
        still = jnp.zeros((self.config.cells, self.config.cells, 2))
        return found, evidence + jax.vmap(lambda H: self._support(H, still, flat))(found)

    def rough(self, H: Float[Array, "2 3"], origin: Array) -> tuple[Refined, Array]:
        """Follow a place for one elastic round."""
        return self._lay(1, H, None, origin)

    def straighten(self, H: Float[Array, "2 3"], origin: Array) -> tuple[Refined, Array]:
        """Search about a place finely, and follow it anew from there."""
        ridges = jax.tree.map(lambda x: x[origin], self.flats.ridges)
        found, _ = search(self.ridges0, ridges, H, self.settings.fine, 1, self.config)
        return self._lay(1, found[0], None, origin)

    def finish(
        self, H: Float[Array, "2 3"], displacement: Float[Array, "h w 2"], origin: Array
    ) -> tuple[Refined, Array]:
        """Follow a straightened place to the end."""
        return self._lay(self.settings.elastic.rounds - 1, H, displacement, origin)

    def _lay(
        self, rounds: int, H: Array, before: Array | None, origin: Array
    ) -> tuple[Refined, Array]:
        flat = jax.tree.map(lambda x: x[origin], self.flats)
        pair, config, settings = (self.ridges0, flat.ridges), self.config, self.settings
        displacement, quality = elastic(*pair, H, config, settings.elastic, rounds, before)
        H, displacement = _refit(H, displacement, quality, config, settings)
        ncc, overlap = agreement(*pair, H, displacement, config)
        laid = Refined(H, ncc, overlap, displacement, quality)
        return laid, laid.evidence + self._support(H, displacement, flat)

    def _support(self, H: Array, displacement: Array, flat: Flat) -> Float[Array, ""]:
        """Return how many matches bear a placement out, by their confidence and its nearness."""
        moved = displacement.reshape(-1, 2)[nearest_cell(flat.points0, self.config)]
        placed = apply(H, flat.points0 + moved)
        away = jnp.square(placed - flat.points1).sum(-1) / self.settings.match_px**2
        supported = (flat.weight * jnp.exp(-0.5 * away)).sum()
        return self.settings.match_weight * supported / self.most


def _best(count: int, value: Float[Array, " K"], each: Tree) -> Tree:
    """Return those of K that have the highest values, of every array in a tree."""
    kept = jax.lax.top_k(value, count)[1]
    return jax.tree.map(lambda x: x[kept], each)


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
    remaining = apply(invert(fitted), moved) - centres
    return compose(H, fitted), remaining.reshape(displacement.shape)
