"""What Module 1's matches say beside a similarity: the distortion, and print 1 drawn without it.

A similarity places a print as a whole. Skin that was pulled or turned while it was pressed leaves
points of it 20 to 60 px from there, which is several ridges. Dense matches know where each part
went, so that print 1 can be drawn in print 0's frame accordingly: for Module 1 to look again, and
before ridges are laid on ridges (:mod:`ifvit.registration.refine`). Matches are believed where
their neighbours moved with them, however far that is, and a smooth field is fitted to those.

Points and displacements are in frame pixels at 500 ppi; images at the network's resolution.
Source: local agreement of neighbouring matches as in Bian et al., "GMS: Grid-based motion
statistics", CVPR 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ifvit.config import REFERENCE_PPI, STRIDE, ModelConfig
from ifvit.features.frame_features import Ridges
from ifvit.geometry.transforms import apply, invert
from ifvit.geometry.warp import sample
from ifvit.registration.hypotheses import Hypotheses
from ifvit.registration.laid import warp_ridges
from ifvit.registration.plate import plate


@dataclass(frozen=True)
class RectifyConfig:
    """Settings of the field that is fitted to matches. Lengths in pixels at 500 ppi."""

    near: float = 30.0
    """Standard deviation over which matches speak for each other's skin."""
    tolerance: float = 6.0
    """How much farther than their distance allows two neighbours may move against each other: what
    Module 1 errs by, its cells being 16 px wide."""
    stretch: float = 0.6
    """How much of their distance they may move against each other: what pressed skin gives."""
    doubt: float = 12.0
    """Distance from the field around it at which a match counts for a quarter."""
    whole_doubt: float = 25.0
    """The same for the affine map that is fitted first: as far as the rest of the field may go."""
    sure_px: float = 3.0
    """Spread of a match that counts for half of one without any."""
    bending: float = 1.0
    """Weight of the field's bending, per cell, beside matches of confidence 1."""
    staying: float = 1e-4
    """Weight of staying where the affine map puts it, beside the same."""


RECTIFY_CONFIG = RectifyConfig()

ROUNDS = 3
"""Fits after each other, each of which trusts a match by its distance from the one before."""

LONELY = 0.15
"""Confidence of neighbours that it takes to believe in half of their agreement."""


def local_support(
    points0: Float[np.ndarray, "K 2"],
    moved: Float[np.ndarray, "K 2"],
    confidence: Float[np.ndarray, " K"],
    settings: RectifyConfig = RECTIFY_CONFIG,
) -> Float[np.ndarray, " K"]:
    """Return, in [0, 1], how far a match's neighbours have moved as it has, by their confidence."""
    distance, apart = _distances(points0), _distances(moved)
    weight = confidence * np.exp(-0.5 * (distance / settings.near) ** 2)
    np.fill_diagonal(weight, 0.0)
    beyond = apart - settings.tolerance - settings.stretch * distance
    alike = 1 / (1 + np.exp(np.clip(beyond / 2, -30, 30)))
    return np.asarray((weight * alike).sum(1) / (weight.sum(1) + LONELY))


def _distances(points: Float[np.ndarray, "K 2"]) -> Float[np.ndarray, "K K"]:
    x, y = points.T.astype(np.float32)
    return np.hypot(np.subtract.outer(x, x), np.subtract.outer(y, y))


def believed(support: Float[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
    """Return how far matches of some support are believed: not at 0.3, wholly from 0.8."""
    return np.asarray(np.clip(2 * support - 0.6, 0, 1) ** 2)


def rectified(
    found: Hypotheses,
    centres: Float[np.ndarray, "N 2"],
    inlier_px: float,
    settings: RectifyConfig = RECTIFY_CONFIG,
) -> Hypotheses:
    """Return hypotheses with the displacement that their matches show; who lies there agrees.

    Where fewer than three cells agree a hypothesis stays as it is.
    """
    every = np.broadcast_to(centres, found.points1.shape)
    moved = apply(invert(found.H_0to1), found.points1) - every
    bent, displacement = found.inliers.sum(axis=-1) >= 3, found.displacement.copy()
    for at in map(tuple, np.argwhere(bent)):
        weight = found.confidence[at] * certainty(found.spread[at], settings.sure_px)
        displacement[at] = matched_displacement(moved[at], weight, centres, settings)
    # In frame 1 a similarity shows what is left longer by its scale.
    scale = np.linalg.norm(found.H_0to1[..., 0, :2], axis=-1)[..., None]
    away = scale * np.linalg.norm(displacement.reshape(every.shape) - moved, axis=-1)
    agree = (found.confidence > 0) & (away <= inlier_px)
    inliers = np.where(bent[..., None], agree, found.inliers)
    return found._replace(displacement=displacement, bent=bent, inliers=inliers)


def certainty(spread: Float[np.ndarray, "*N"], sure_px: float) -> Float[np.ndarray, "*N"]:
    """Return the weight of matches by their spread, 1 for none: that of their variance, beside one
    that all have in common."""
    return np.asarray(1 / (1 + np.square(spread / sure_px)))


def matched_displacement(
    moved: Float[np.ndarray, "N 2"],
    confidence: Float[np.ndarray, " N"],
    centres: Float[np.ndarray, "N 2"],
    settings: RectifyConfig = RECTIFY_CONFIG,
) -> Float[np.ndarray, "h w 2"]:
    """Return what must be added to each cell's centre for ``H_0to1`` to take it where matches go.

    ``moved`` is what must be added to a cell's centre for it to go where its own match is, of
    confidence 0 where it has none. First the affine map that most agree with; then, through what
    is left, a plate. Both by least squares that trust a match the less the farther it is from the
    fit before.
    """
    cells = round(len(centres) ** 0.5)
    at = np.flatnonzero(confidence > 0)
    if not len(at):
        return np.zeros((cells, cells, 2))
    support = local_support(centres[at], moved[at], confidence[at], settings)
    weight = confidence[at] * believed(support)
    rows = _homogeneous(centres)
    whole = _affine(rows[at], moved[at], weight, settings)
    rest, trust = moved[at] - rows[at] @ whole, weight
    for _ in range(ROUNDS):
        away = rest - _laid_through(at, rest, trust, cells, settings)[at]
        trust = _trusted(weight, away, settings.doubt)
    local = _laid_through(at, rest, trust, cells, settings)
    return (rows @ whole + local).reshape(cells, cells, 2)


def _trusted(
    weight: Float[np.ndarray, " K"], away: Float[np.ndarray, "K 2"], doubt: float
) -> Float[np.ndarray, " K"]:
    return np.asarray(weight / np.square(1 + np.square(away).sum(-1) / doubt**2))


def _homogeneous(centres: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 3"]:
    """Return the cells' centres as rows (x, y, 1), in quarters of the frame from its middle."""
    side = centres[0, 0] + centres[-1, 0] + 1
    return np.column_stack([(centres - (side - 1) / 2) / (side / 4), np.ones(len(centres))])


def _affine(
    rows: Float[np.ndarray, "K 3"],
    moved: Float[np.ndarray, "K 2"],
    weight: Float[np.ndarray, " K"],
    settings: RectifyConfig,
) -> Float[np.ndarray, "3 2"]:
    """Return the affine displacement that most matches agree with."""
    fitted = np.zeros((3, 2))
    for _ in range(ROUNDS):
        trust = _trusted(weight, moved - rows @ fitted, settings.whole_doubt)
        weighed = (rows * trust[:, None]).T
        fitted = np.linalg.solve(weighed @ rows + np.eye(3), weighed @ moved)
    return fitted


def _laid_through(
    at: Int[np.ndarray, " K"],
    values: Float[np.ndarray, "K 2"],
    trust: Float[np.ndarray, " K"],
    cells: int,
    settings: RectifyConfig,
) -> Float[np.ndarray, "N 2"]:
    """Return the plate laid through the values of some cells, at all of them."""
    sure, pull = np.zeros(cells**2), np.zeros((cells**2, 2))
    sure[at], pull[at] = trust, trust[:, None] * values
    grid = sure.reshape(cells, cells, 1, 1), pull.reshape(cells, cells, 1, 2)
    return plate(*grid, settings.bending, settings.staying).reshape(-1, 2)


class Start(NamedTuple):
    """A coarse alignment to refine, with its field and its K matches.

    ``weight`` is a match's confidence, ``spread`` how far off it may be, pixels. Without weights
    the ridges decide alone.
    """

    H_0to1: Float[np.ndarray, "2 3"]
    displacement: Float[np.ndarray, "h w 2"]
    points0: Float[np.ndarray, "K 2"]
    points1: Float[np.ndarray, "K 2"]
    weight: Float[np.ndarray, " K"]
    spread: Float[np.ndarray, " K"]


def starts_of(found: Hypotheses, centres: Float[np.ndarray, "N 2"]) -> list[Start]:
    """Return Module 1's alignments as starts, with the matches that their neighbours bear out."""
    made = []
    for way, H in enumerate(found.H_0to1):
        kept = found.confidence[way] > 0
        believed = found.confidence[way] * (found.inliers[way] & found.bent[way])
        points = centres[kept], found.points1[way][kept]
        said = believed[kept], found.spread[way][kept]
        made.append(Start(H, found.displacement[way], *points, *said))
    return made


class Rectified(NamedTuple):
    """Print 1 laid in print 0's frame by an alignment and its field, and where its matches lie."""

    ridges: Ridges
    points0: Float[np.ndarray, "K 2"]
    points1: Float[np.ndarray, "K 2"]
    weight: Float[np.ndarray, " K"]
    spread: Float[np.ndarray, " K"]


def rectify(ridges1: Ridges, start: Start, config: ModelConfig) -> Rectified:
    """Draw print 1 in print 0's frame, without the distortion that the matches show."""
    there = apply(invert(start.H_0to1), start.points1)
    there = there - between_cells(start.displacement, start.points0, config)
    ridges = warp_ridges(ridges1, start.H_0to1, start.displacement, config)
    return Rectified(ridges, start.points0, there, start.weight, start.spread)


def between_cells(
    displacement: Float[np.ndarray, "h w 2"], points: Float[np.ndarray, "P 2"], config: ModelConfig
) -> Float[np.ndarray, "P 2"]:
    """Read a displacement at points of the frame, bilinear; beyond the outer cells as there."""
    cell = STRIDE * REFERENCE_PPI / config.ppi
    return sample(displacement, (points + 0.5) / cell - 0.5)
