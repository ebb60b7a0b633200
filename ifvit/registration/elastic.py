"""What a similarity leaves: the skin's own distortion, block by block, and how well ridges agree.

Around every coarse cell the enhanced ridges of both prints are compared under small shifts
(:mod:`ifvit.registration.blocks`), and the shifts smoothed over neighbouring cells. Five rounds,
each from where the one before arrived: cells whose ridges already lie on each other carry their
neighbours near enough to find their own. In the second, all cells choose together
(:mod:`ifvit.registration.joint`), so that a block which lies a whole ridge off comes back.

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


@dataclass(frozen=True)
class ElasticConfig:
    """Settings of the elastic step. Lengths in pixels at 500 ppi."""

    rounds: int = 5
    block: float = 20.0
    """Standard deviation of the Gaussian window that a block is compared in: about two ridges."""
    reach: int = 6
    """Displacements tried in a round, ±: more than half a ridge period, less than a whole one."""
    joint_block: float = 14.0
    """The window's standard deviation where blocks choose together: neighbours tell the rest."""
    joint_reach: int = 12
    """Displacements tried there, ±: more than a whole ridge period, so that one is made good."""
    joint: JointConfig = JOINT_CONFIG
    min_ncc: float = 0.3
    """Correlation below which a block says nothing."""
    smoothing_cells: float = 1.5
    """Standard deviation over which neighbouring blocks' displacements are averaged."""
    stiffness: float = 0.01
    """Weight of staying where it is, beside the squared correlations of the blocks around."""
    straightness: float = 0.05
    """Weight of moving alike from cell to cell, beside the same."""
    told_off: float = 6.0
    """Distance at which what a match says counts for a quarter: far off it is wrong."""


ELASTIC_CONFIG = ElasticConfig()


class Told(NamedTuple):
    """What matches say of the cells beside their ridges: a displacement, px, and its weight."""

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

    ``rounds`` replaces that of the settings; ``before`` is where earlier rounds arrived: blocks
    then choose together first. What matches have ``told`` is heard in each round.
    """
    quality = np.zeros((config.cells, config.cells))
    displacement, laid = np.zeros((config.cells, config.cells, 2)), (ridges0, ridges1, H)
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
    """Return the displacements that the blocks around each cell agree on, by moving least squares:
    about each cell an affine map, which goes on where skin is stretched and no block says so yet.

    Each block says where its parabola has its top, and by its bend in which direction it knows:
    along straight ridges it does not, and leaves that to matches, and to neighbours whose ridges
    run otherwise.
    """
    cells = np.arange(len(before))
    step = cells - cells[:, None]
    near = np.exp(-0.5 * (step / settings.smoothing_cells) ** 2)
    powers = [near * step**n for n in range(3)]
    weight = np.maximum(found.quality - settings.min_ncc, 0)[..., None] ** 2
    bend = found.bend * weight[..., None]
    pull = (bend @ (before + found.place)[..., None])[..., 0] + found.slope * weight

    if told is not None:
        away = np.square(told.displacement - before).sum(-1) / settings.told_off**2
        sure = told.weight / np.square(1 + away)
        bend = bend + sure[..., None, None] * np.eye(2)
        pull = pull + sure[..., None] * told.displacement

    def moment(y: int, x: int, of: Float[np.ndarray, "h w *n"]) -> Float[np.ndarray, "h w *n"]:
        height, width, *inner = of.shape
        down = (powers[y] @ of.reshape(height, -1)).reshape(height, width, -1)
        return (powers[x] @ down).reshape(height, width, *inner)

    basis = [(0, 0), (0, 1), (1, 0)]  # powers of (y, x): the value, its slopes along x and y
    moments = {(y, x): moment(y, x, bend) for y in range(3) for x in range(3 - y)}
    total = np.block([[moments[a[0] + b[0], a[1] + b[1]] for b in basis] for a in basis])
    moved = np.concatenate([moment(*a, pull) for a in basis], axis=-1)
    stiff = np.diag([settings.stiffness] * 2 + [settings.straightness] * 4)
    return np.linalg.solve(total + stiff, moved[..., None])[..., :2, 0]
