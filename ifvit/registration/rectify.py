"""The distortion that Module 1's matches show beside a similarity, and print 1 drawn without it.

A similarity places a print as a whole. Where skin was pulled or turned while it was pressed, points
of the print lie 20 to 60 px from there, which is several ridges. Dense matches show where each part
went, so that print 1 can be drawn in print 0's frame without the distortion: for another pass of
Module 1, and before ridges are laid on ridges (:mod:`ifvit.registration.refine`). Matches are
trusted where their neighbours moved with them, however far that is, and a smooth field is fitted to
the trusted ones.

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
from ifvit.geometry.filters import gaussian_weight
from ifvit.geometry.transforms import apply, invert
from ifvit.geometry.warp import sample
from ifvit.registration.hypotheses import Hypotheses
from ifvit.registration.laid import warp_ridges
from ifvit.registration.plate import plate


@dataclass(frozen=True)
class RectifyConfig:
    """Settings of the field that is fitted to matches. Lengths are in pixels at 500 ppi."""

    near: float = 30.0
    """Standard deviation of the distance over which matches support each other."""
    tolerance: float = 6.0
    """Movement of two neighbours against each other that is allowed at any distance: the error of
    Module 1, whose cells are 16 px wide."""
    stretch: float = 0.6
    """Further movement allowed, as a share of the neighbours' distance: that of pressed skin."""
    doubt: float = 12.0
    """Distance from the fitted field at which a match counts for a quarter."""
    whole_doubt: float = 25.0
    """The same for the affine map that is fitted first, which has to allow for the rest of the
    field."""
    sure_px: float = 3.0
    """Spread at which a match counts for half of one without any spread."""
    bending: float = 1.0
    """Weight of the field's bending, per cell, relative to matches of confidence 1."""
    staying: float = 1e-4
    """Weight, on the same scale, that holds the field where the affine map puts it."""


RECTIFY_CONFIG = RectifyConfig()

ROUNDS = 3
"""Number of successive fits; each weights a match by its distance from the fit before."""

LONELY = 0.15
"""Summed confidence of a match's neighbours at which their agreement counts for half."""


def local_support(
    points0: Float[np.ndarray, "K 2"],
    moved: Float[np.ndarray, "K 2"],
    confidence: Float[np.ndarray, " K"],
    settings: RectifyConfig = RECTIFY_CONFIG,
) -> Float[np.ndarray, " K"]:
    """Return, in [0, 1], how far the neighbours of each match have moved as it has, weighted by
    their confidence."""
    distance, apart = _distances(points0), _distances(moved)
    weight = confidence * gaussian_weight(distance, settings.near)
    np.fill_diagonal(weight, 0.0)
    beyond = apart - settings.tolerance - settings.stretch * distance
    alike = 1 / (1 + np.exp(np.clip(beyond / 2, -30, 30)))
    return np.asarray((weight * alike).sum(1) / (weight.sum(1) + LONELY))


def _distances(points: Float[np.ndarray, "K 2"]) -> Float[np.ndarray, "K K"]:
    x, y = points.T.astype(np.float32)
    return np.hypot(np.subtract.outer(x, x), np.subtract.outer(y, y))


def believed(support: Float[np.ndarray, " K"]) -> Float[np.ndarray, " K"]:
    """Return the weight of matches by their support: 0 up to 0.3, 1 from 0.8 on."""
    return np.asarray(np.clip(2 * support - 0.6, 0, 1) ** 2)


def rectified(
    found: Hypotheses,
    centres: Float[np.ndarray, "N 2"],
    inlier_px: float,
    settings: RectifyConfig = RECTIFY_CONFIG,
) -> Hypotheses:
    """Return hypotheses with the displacement that their matches show.

    Their inliers are then the matches within ``inlier_px`` of it. A hypothesis on which fewer than
    three cells agree stays as it is.
    """
    every = np.broadcast_to(centres, found.points1.shape)
    moved = apply(invert(found.H_0to1), found.points1) - every
    bent, displacement = found.inliers.sum(axis=-1) >= 3, found.displacement.copy()
    for at in map(tuple, np.argwhere(bent)):
        weight = found.confidence[at] * certainty(found.spread[at], settings.sure_px)
        displacement[at] = matched_displacement(moved[at], weight, centres, settings)
    # Residuals count in frame 1, where the similarity lengthens them by its scale.
    scale = np.linalg.norm(found.H_0to1[..., 0, :2], axis=-1)[..., None]
    away = scale * np.linalg.norm(displacement.reshape(every.shape) - moved, axis=-1)
    agree = (found.confidence > 0) & (away <= inlier_px)
    inliers = np.where(bent[..., None], agree, found.inliers)
    return found._replace(displacement=displacement, bent=bent, inliers=inliers)


def certainty(spread: Float[np.ndarray, "*N"], sure_px: float) -> Float[np.ndarray, "*N"]:
    """Return the weight of matches by their spread: 1 without any, a half at ``sure_px``.

    It is the inverse of their variance added to one that all matches have in common.
    """
    return np.asarray(1 / (1 + np.square(spread / sure_px)))


def matched_displacement(
    moved: Float[np.ndarray, "N 2"],
    confidence: Float[np.ndarray, " N"],
    centres: Float[np.ndarray, "N 2"],
    settings: RectifyConfig = RECTIFY_CONFIG,
) -> Float[np.ndarray, "h w 2"]:
    """Return the displacement of each cell's centre that takes it, by ``H_0to1``, to where the
    matches say.

    ``moved`` is the displacement that takes a cell's centre to its own match; ``confidence`` is 0
    where it has none. The affine map that most matches agree with is fitted first, then a plate to
    what it leaves. Both are fitted by least squares that weight a match the less the farther it
    lies from the fit before.
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
    """Return, at all cells, the plate that is fitted to the values of some cells."""
    sure, pull = np.zeros(cells**2), np.zeros((cells**2, 2))
    sure[at], pull[at] = trust, trust[:, None] * values
    grid = sure.reshape(cells, cells, 1, 1), pull.reshape(cells, cells, 1, 2)
    return plate(*grid, settings.bending, settings.staying).reshape(-1, 2)


class Start(NamedTuple):
    """A coarse alignment to refine, with its field and its K matches.

    ``at`` is the cell of frame 0 that a match is of, as the index of its centre; ``weight`` the
    match's confidence, ``spread`` how far off it may be, pixels. Where all weights are 0 the ridges
    decide alone.
    """

    H_0to1: Float[np.ndarray, "2 3"]
    displacement: Float[np.ndarray, "h w 2"]
    at: Int[np.ndarray, " K"]
    points1: Float[np.ndarray, "K 2"]
    weight: Float[np.ndarray, " K"]
    spread: Float[np.ndarray, " K"]


def starts_of(found: Hypotheses) -> list[Start]:
    """Return Module 1's hypotheses as starts, with the matches that their neighbours support."""
    made = []
    for way, H in enumerate(found.H_0to1):
        at = np.flatnonzero(found.confidence[way] > 0)
        believed = found.confidence[way] * (found.inliers[way] & found.bent[way])
        said = found.points1[way][at], believed[at], found.spread[way][at]
        made.append(Start(H, found.displacement[way], at, *said))
    return made


class Rectified(NamedTuple):
    """Print 1 drawn in print 0's frame by an alignment and its field, with its matches there."""

    ridges: Ridges
    at: Int[np.ndarray, " K"]
    points1: Float[np.ndarray, "K 2"]
    weight: Float[np.ndarray, " K"]
    spread: Float[np.ndarray, " K"]


def rectify(ridges1: Ridges, start: Start, config: ModelConfig) -> Rectified:
    """Draw print 1 in print 0's frame, without the distortion that the matches show."""
    field = start.displacement
    there = apply(invert(start.H_0to1), start.points1) - field.reshape(-1, 2)[start.at]
    ridges = warp_ridges(ridges1, start.H_0to1, field, config)
    return Rectified(ridges, start.at, there, start.weight, start.spread)


def between_cells(
    displacement: Float[np.ndarray, "h w 2"], points: Float[np.ndarray, "P 2"], config: ModelConfig
) -> Float[np.ndarray, "P 2"]:
    """Return a displacement at points of the frame: bilinear between cells, and beyond the
    outermost ones their value."""
    cell = STRIDE * REFERENCE_PPI / config.ppi
    return sample(displacement, (points + 0.5) / cell - 0.5)
