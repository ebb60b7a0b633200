"""From a coarse alignment to one below the cell: two prints' ridges laid on each other.

Coarse cells are two ridge periods wide, so that their matches place a print to within a few pixels.
Here the enhanced ridges themselves are correlated: as a whole, over small rotations, scales and
shifts, where minutiae and curvature leave one place only; then block by block
(:mod:`ifvit.registration.elastic`). The normalised correlation that is reached is the field's
measure of how well two prints agree ridge by ridge.

Transforms are 2×3 matrices in frame pixels at 500 ppi; images at the network's resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ifvit.config import ModelConfig
from ifvit.features.frame_features import Ridges
from ifvit.geometry.grid import cell_centres
from ifvit.geometry.transforms import apply, compose, fit_similarity, invert
from ifvit.registration.correlate import Search, search
from ifvit.registration.elastic import ELASTIC_CONFIG, ElasticConfig, Told, elastic
from ifvit.registration.laid import agreement
from ifvit.registration.rectify import Rectified, Start, between_cells, certainty, rectify

WIDE = Search((-6, -4, -2, 0, 2, 4, 6), (1.0,), 32)
FINE = Search((-1.5, -0.75, 0, 0.75, 1.5), (0.97, 1.0, 1.03), 6)


@dataclass(frozen=True)
class RefineConfig:
    """Settings of the refinement."""

    wide: Search = WIDE
    """The first search: it covers the error of the coarse alignment, a few degrees and up to a
    coarse cell."""
    fine: Search = FINE
    """The second search: it also covers scale, since skin as a whole is stretched by a few per
    cent."""
    places: int = 8
    """Number of places of the wide search that are followed for one elastic round."""
    straightened: int = 4
    """Number of these that are searched finely, and followed for one round from there."""
    finished: int = 2
    """Number of these that are followed to the end."""
    brief: tuple[int, int, int] = (2, 1, 1)
    """The same three numbers where Module 1 is certain of a pair."""
    hopeless: float = 0.5
    """Evidence for a pair's best place below which only that one is followed, for one round: all
    genuine pairs reach it but those that fail anyway; of four impostor pairs three do not."""
    behind: tuple[float, float, float] = (0.45, 0.35, 0.06)
    """How far the evidence for a place may lie below that for the best one, for it to be followed,
    searched finely, and followed to the end. In one of twenty poor genuine pairs the right place
    lies so far behind at the first two steps, in hardly any at the last."""
    elastic: ElasticConfig = ELASTIC_CONFIG
    match_weight: float = 0.6
    """Weight of Module 1's matches beside the correlation of the ridges."""
    match_px: float = 8.0
    """Standard deviation of the distance at which a match still supports an alignment: half a
    coarse cell."""
    told_weight: float = 0.005
    """Weight of a match's displacement, relative to the curvature of a block's correlation: enough
    to count along the ridges, where a block is uncertain, and not across them."""
    told_px: float = 4.0
    """Spread at which a match counts for half of one without any spread."""

    @property
    def briefly(self) -> RefineConfig:
        """Return the settings for a pair of which Module 1 is certain."""
        places, straightened, finished = self.brief
        return replace(self, places=places, straightened=straightened, finished=finished)


REFINE_CONFIG = RefineConfig()


class Refined(NamedTuple):
    """A refined alignment.

    ``ncc`` is the correlation of the ridges over the overlap, distortion removed, in [-1, 1];
    ``overlap`` its share of the frame; ``displacement`` what the skin's distortion adds, for each
    coarse cell: the point x of frame 0 shows the skin of ``H_0to1(x + displacement)``, pixels at
    500 ppi; ``block_ncc`` how well each cell's surroundings agree, 0 where nothing can be said.
    """

    H_0to1: Float[np.ndarray, "2 3"]
    ncc: float
    overlap: float
    displacement: Float[np.ndarray, "h w 2"]
    block_ncc: Float[np.ndarray, "h w"]

    @property
    def evidence(self) -> float:
        """Return the correlation times the root of its area, so that chance reaches equal values
        equally rarely."""
        return float(self.ncc * np.sqrt(self.overlap))


class _Place(NamedTuple):
    """A place of print 1, rectified by a start, on print 0, and the evidence for it (``value``)."""

    start: int
    laid: Refined
    value: float


def refine(
    ridges0: Ridges,
    ridges1: Ridges,
    starts: Sequence[Start],
    config: ModelConfig,
    settings: RefineConfig = REFINE_CONFIG,
) -> Refined:
    """Refine coarse alignments of one pair and return the one with most evidence.

    Deterministic; nothing is raised. Ridges one period off look alike, so that several places of
    each alignment are followed, many roughly and few to the end. Module 1's matches, which rest on
    minutiae and curvature, are evidence beside the ridges.
    """
    flats = [rectify(ridges1, start, config) for start in starts]
    most = max(max(float(start.weight.sum()) for start in starts), 1e-6)
    steps = _Steps(ridges0, flats, most, config, settings)
    places = [place for start in range(len(flats)) for place in steps.place(start)]
    best = steps.follow(places)
    return _unflattened((ridges0, ridges1), best.laid, starts[best.start], config, settings)


def _best(count: int, places: list[_Place], behind: float = 0.0) -> list[_Place]:
    """Return the ``count`` places with most evidence, none more than ``behind`` below the best; of
    equal ones the first."""
    first, *others = sorted(places, key=lambda place: -place.value)[:count]
    return [first, *(place for place in others if place.value >= first.value - behind)]


def _unflattened(
    ridges: tuple[Ridges, Ridges],
    laid: Refined,
    start: Start,
    config: ModelConfig,
    settings: RefineConfig,
) -> Refined:
    """Return a refinement of the rectified print 1 as one of print 1 itself, which is then drawn
    with a single interpolation."""
    centres, field = cell_centres(config), start.displacement
    flat = apply(laid.H_0to1, centres + laid.displacement.reshape(-1, 2))
    moved = (flat + between_cells(field, flat, config) - centres).reshape(field.shape)
    H, rest = _refit(start.H_0to1, moved, laid.block_ncc, config, settings)
    ncc, overlap = agreement(*ridges, H, rest, config)
    return Refined(H, ncc, overlap, rest, laid.block_ncc)


class _Steps(NamedTuple):
    """The steps by which places of print 1 on print 0 are followed, each step for fewer of them.

    The evidence for a place is that of its ridges, and the support by its matches as a share of
    what the best start has (``most``).
    """

    ridges0: Ridges
    flats: list[Rectified]
    most: float
    config: ModelConfig
    settings: RefineConfig

    def place(self, start: int) -> list[_Place]:
        """Return the most likely places that the wide search finds from a start."""
        flat, settings, cells = self.flats[start], self.settings, self.config.cells
        ridges = self.ridges0, flat.ridges
        found = search(*ridges, np.eye(2, 3), settings.wide, settings.places, self.config)
        still, unknown = np.zeros((cells, cells, 2)), np.zeros((cells, cells))
        return [
            _Place(
                start, Refined(H, 0, 0, still, unknown), evidence + self._support(H, still, flat)
            )
            for H, evidence in zip(*found, strict=True)
        ]

    def follow(self, places: list[_Place]) -> _Place:
        """Follow the most likely places and return the one that then has most evidence."""
        settings, (first,) = self.settings, _best(1, places)
        if first.value < settings.hopeless:
            return self.rough(first)
        far, near, close = settings.behind
        rough = [self.rough(place) for place in _best(settings.places, places, far)]
        straight = [self.straighten(place) for place in _best(settings.straightened, rough, near)]
        finished = [self.finish(place) for place in _best(settings.finished, straight, close)]
        return _best(1, finished)[0]

    def rough(self, place: _Place) -> _Place:
        """Follow a place for one elastic round."""
        return self._lay(1, place.start, place.laid.H_0to1, None)

    def straighten(self, place: _Place) -> _Place:
        """Search about a place finely, and follow it anew from there."""
        ridges, fine = (self.ridges0, self.flats[place.start].ridges), self.settings.fine
        found, _ = search(*ridges, place.laid.H_0to1, fine, 1, self.config)
        return self._lay(1, place.start, found[0], None)

    def finish(self, place: _Place) -> _Place:
        """Follow a straightened place to the end."""
        rounds, laid = self.settings.elastic.rounds - 1, place.laid
        return self._lay(rounds, place.start, laid.H_0to1, laid.displacement)

    def _lay(
        self,
        rounds: int,
        start: int,
        H: Float[np.ndarray, "2 3"],
        before: Float[np.ndarray, "h w 2"] | None,
    ) -> _Place:
        flat, config, settings = self.flats[start], self.config, self.settings
        pair = self.ridges0, flat.ridges
        told = _told(flat, H, config, settings)
        displacement, quality = elastic(*pair, H, config, settings.elastic, rounds, before, told)
        H, displacement = _refit(H, displacement, quality, config, settings)
        ncc, overlap = agreement(*pair, H, displacement, config)
        laid = Refined(H, ncc, overlap, displacement, quality)
        return _Place(start, laid, laid.evidence + self._support(H, displacement, flat))

    def _support(
        self, H: Float[np.ndarray, "2 3"], displacement: Float[np.ndarray, "h w 2"], flat: Rectified
    ) -> float:
        """Return the support of a placement by its matches, weighted by their confidence and by how
        near it puts them."""
        moved = cell_centres(self.config) + displacement.reshape(-1, 2)
        placed = apply(H, moved[flat.at])
        away = np.square(placed - flat.points1).sum(-1) / self.settings.match_px**2
        supported = (flat.weight * np.exp(-0.5 * away)).sum()
        return float(self.settings.match_weight * supported / self.most)


def _told(
    flat: Rectified, H: Float[np.ndarray, "2 3"], config: ModelConfig, settings: RefineConfig
) -> Told:
    """Return where the matches put their cells, as displacements before ``H`` is applied."""
    cells, centres, at = config.cells, cell_centres(config), flat.at
    moved, weight = np.zeros_like(centres), np.zeros(len(centres))
    moved[at] = apply(invert(H), flat.points1) - centres[at]
    weight[at] = settings.told_weight * flat.weight * certainty(flat.spread, settings.told_px)
    return Told(moved.reshape(cells, cells, 2), weight.reshape(cells, cells))


def _refit(
    H: Float[np.ndarray, "2 3"],
    displacement: Float[np.ndarray, "h w 2"],
    quality: Float[np.ndarray, "h w"],
    config: ModelConfig,
    settings: RefineConfig,
) -> tuple[Float[np.ndarray, "2 3"], Float[np.ndarray, "h w 2"]]:
    """Return the similarity that the blocks agree on, and the displacement that then remains."""
    centres = cell_centres(config)
    moved = centres + displacement.reshape(-1, 2)
    fitted = fit_similarity(centres, moved, quality.reshape(-1) > settings.elastic.min_ncc)
    remaining = apply(invert(fitted), moved) - centres
    return compose(H, fitted), remaining.reshape(displacement.shape)
