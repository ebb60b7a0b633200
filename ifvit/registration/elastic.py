"""The skin's distortion, which a similarity leaves: found block by block from the ridges.

Around every coarse cell the enhanced ridges of both prints are compared under small shifts
(:mod:`ifvit.registration.blocks`), and the shifts are smoothed over neighbouring cells. There are
five rounds, each of which starts from the result of the one before: cells whose ridges already lie
on each other carry their neighbours near enough to find their own. In the second round all cells
choose together (:mod:`ifvit.registration.joint`), which brings back a block that lies a whole ridge
off.

Points and displacements are in frame pixels at 500 ppi; images at the network's resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ifvit.config import ModelConfig
from ifvit.features.frame_features import Ridges
from ifvit.registration.blocks import Blocks, at_shifts, correlation, each_best
from ifvit.registration.joint import JOINT_CONFIG, JointConfig, chosen_together
from ifvit.registration.plate import plate


@dataclass(frozen=True)
class ElasticConfig:
    """Settings of the elastic step. Lengths are in pixels at 500 ppi."""

    rounds: int = 5
    block: float = 20.0
    """Standard deviation of the Gaussian window in which blocks are compared: about two ridges."""
    reach: int = 6
    """Farthest displacement tried in a round, ±: more than half a ridge period, less than a whole
    one."""
    joint_block: float = 14.0
    """Standard deviation of the window where blocks choose together: it may be smaller, since a
    block's neighbours help it to choose."""
    joint_reach: int = 12
    """Farthest displacement tried where blocks choose together, ±: more than a whole ridge period,
    so that an error of one period is corrected."""
    joint: JointConfig = JOINT_CONFIG
    min_ncc: float = 0.3
    """Correlation below which a block is ignored."""
    bending: float = 0.01
    """Weight of the field's bending, per cell, relative to the curvature of the blocks'
    correlations."""
    staying: float = 1e-3
    """Weight, on the same scale, that holds the field where the matches put it: it decides along
    straight ridges, and where no block gives a shift."""
    told_off: float = 6.0
    """Distance at which a match's displacement counts for a quarter: far off it is wrong."""


ELASTIC_CONFIG = ElasticConfig()


class Told(NamedTuple):
    """The displacements of cells according to Module 1's matches, in pixels, and their weights."""

    displacement: Float[np.ndarray, "h w 2"]
    weight: Float[np.ndarray, "h w"]


def elastic(
    ridges0: Ridges,
    ridges1: Ridges,
    H: Float[np.ndarray, "2 3"],
    config: ModelConfig,
    settings: ElasticConfig = ELASTIC_CONFIG,
    rounds: int | None = None,
    before: Float[np.ndarray, "h w 2"] | None = None,
    told: Told | None = None,
) -> tuple[Float[np.ndarray, "h w 2"], Float[np.ndarray, "h w"]]:
    """Return each cell's displacement before ``H`` is applied, and its blocks' correlation.

    ``rounds`` replaces the number in the settings. ``before`` is the result of earlier rounds; if
    it is given, blocks choose together in the first round. Every round also takes the matches'
    displacements ``told`` into account.
    """
    quality = np.zeros((config.cells, config.cells))
    displacement, laid = np.zeros((*quality.shape, 2)), (ridges0, ridges1, H)
    count = settings.rounds if rounds is None else rounds
    if before is not None:
        ncc = correlation(*laid, before, config, settings.joint_block, settings.joint_reach)
        found = at_shifts(ncc, *chosen_together(ncc, settings.joint), config)
        displacement, quality = _smooth(found, before, settings, told), found.quality
        count -= 1
    for _ in range(count):
        ncc = correlation(*laid, displacement, config, settings.block, settings.reach)
        found = each_best(ncc, config)
        displacement, quality = _smooth(found, displacement, settings, told), found.quality
    return displacement, quality


def _smooth(
    found: Blocks,
    before: Float[np.ndarray, "h w 2"],
    settings: ElasticConfig,
    told: Told | None,
) -> Float[np.ndarray, "h w 2"]:
    """Return the displacements that the blocks agree on: a thin plate, which bends as little as
    they allow, and continues stretched skin where no block gives a shift yet.

    The peak of a block's parabola is its displacement, and the curvature there says how certain it
    is in each direction: along straight ridges it is not, and is left to matches and to neighbours
    whose ridges run otherwise.
    """
    weight = np.maximum(found.quality - settings.min_ncc, 0)[..., None] ** 2
    bend = found.bend * weight[..., None]
    pull = (bend @ (before + found.place)[..., None])[..., 0] + found.slope * weight

    if told is not None:
        away = np.square(told.displacement - before).sum(-1) / settings.told_off**2
        sure = told.weight / np.square(1 + away)
        bend = bend + sure[..., None, None] * np.eye(2)
        pull = pull + sure[..., None] * told.displacement

    return plate(bend, pull[..., None], settings.bending, settings.staying)[..., 0]
