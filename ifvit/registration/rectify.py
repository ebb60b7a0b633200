"""What Module 1's matches say beside a similarity: the distortion, and print 1 drawn without it.

A similarity places a print as a whole. Skin that was pulled or turned while it was pressed leaves
points of it 20 to 60 px from there, which is several ridges. Dense matches know where each part
went, so that print 1 can be drawn in print 0's frame accordingly: for Module 1 to look again, and
before ridges are laid on ridges (:mod:`ifvit.registration.refine`). Matches are believed where
their neighbours moved with them, however far that is, and a smooth field is fitted to those.

Points and displacements are in frame pixels at 500 ppi; images at the network's resolution.
Source: local agreement of neighbouring matches as in Bian et al., "GMS: Grid-based motion
statistics", CVPR 2017; moving least squares of affine maps, Schaefer et al., "Image deformation
using moving least squares", SIGGRAPH 2006.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ifvit.config import REFERENCE_PPI, STRIDE, ModelConfig
from ifvit.features.frame_features import Ridges
from ifvit.geometry.transforms import apply, invert
from ifvit.geometry.warp import sample
from ifvit.registration.hypotheses import Hypotheses
from ifvit.registration.laid import warp_ridges


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
    stiffness: float = 0.025
    """Matches, each of confidence 1, that it takes to believe in half of what they show."""
    straightness: float = 0.05
    """The same for how the field changes from place to place."""


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
        kept = found.confidence[at] > 0
        weight = found.confidence[at] * certainty(found.spread[at], settings.sure_px)
        few = centres[kept], moved[at][kept], weight[kept]
        displacement[at] = matched_displacement(*few, centres, settings)
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
    points0: Float[np.ndarray, "K 2"],
    moved: Float[np.ndarray, "K 2"],
    confidence: Float[np.ndarray, " K"],
    centres: Float[np.ndarray, "N 2"],
    settings: RectifyConfig = RECTIFY_CONFIG,
) -> Float[np.ndarray, "h w 2"]:
    """Return what must be added to each cell's centre for ``H_0to1`` to take it where matches go.

    ``moved`` is what must be added to ``points0`` for it. First the affine map that most agree
    with; then, of what is left, an affine map about each cell. Both by least squares that trust a
    match the less the farther it is from the fit before.
    """
    cells = round(len(centres) ** 0.5)
    if not len(points0):
        return np.zeros((cells, cells, 2))
    support = local_support(points0, moved, confidence, settings)
    weight = confidence * believed(support)
    side = centres[0, 0] + centres[-1, 0] + 1
    rows = _homogeneous(points0, side)
    whole = _affine(rows, moved, weight, settings)
    rest, trust = moved - rows @ whole, weight
    for _ in range(ROUNDS):
        away = rest - _around(points0, points0, rest, trust, settings)
        trust = _trusted(weight, away, settings.doubt)
    local = _around(centres, points0, rest, trust, settings)
    return (_homogeneous(centres, side) @ whole + local).reshape(cells, cells, 2)


def _trusted(
    weight: Float[np.ndarray, " K"], away: Float[np.ndarray, "K 2"], doubt: float
) -> Float[np.ndarray, " K"]:
    return np.asarray(weight / np.square(1 + np.square(away).sum(-1) / doubt**2))


def _homogeneous(points: Float[np.ndarray, "P 2"], side: float) -> Float[np.ndarray, "P 3"]:
    """Return points as rows (x, y, 1), in quarters of the frame from its middle."""
    return np.column_stack([(points - (side - 1) / 2) / (side / 4), np.ones(len(points))])


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


def _around(
    at: Float[np.ndarray, "C 2"],
    points0: Float[np.ndarray, "K 2"],
    values: Float[np.ndarray, "K 2"],
    trust: Float[np.ndarray, " K"],
    settings: RectifyConfig,
) -> Float[np.ndarray, "C 2"]:
    """Return the values at places by moving least squares: an affine map is fitted about each."""
    # In units of ``near`` about the points' middle; each place's sums then follow from three.
    middle = points0.mean(axis=0)
    x, c = (points0 - middle) / settings.near, (at - middle) / settings.near
    square = (c**2).sum(1)[:, None] - 2 * c @ x.T + (x**2).sum(1)
    weight = trust * np.exp(-0.5 * square)
    total = weight.sum(axis=1)[:, None, None]
    first = (weight @ x)[..., None] - c[..., None] * total
    second = (weight @ (x[:, :, None] * x[:, None]).reshape(-1, 4)).reshape(-1, 2, 2)
    second = second - first * c[:, None] - c[..., None] * (first + c[..., None] * total).mT
    summed = (weight @ values)[:, None]
    sloped = (weight @ (x[:, :, None] * values[:, None]).reshape(-1, 4)).reshape(-1, 2, 2)
    sloped = sloped - c[..., None] * summed
    normal = np.block([[total, first.mT], [first, second]])
    stiff = np.diag([settings.stiffness, settings.straightness, settings.straightness])
    right = np.concatenate([summed, sloped], axis=1)
    return np.asarray(np.linalg.solve(normal + stiff, right)[:, 0])


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
