"""The scale at which a pair is drawn, by its ridge period, and the canvas, by how far ridges reach.

The networks and the filters are made for ridges of about one period in pixels. Finer ridges, such
as those of women and children, are drawn larger until they have it: both prints of a pair by one
factor, so that the difference between them stays. A *frame* is a print drawn in this way: its
pixels are those of 500 ppi times the scale, and every ``*_px`` setting of registration counts them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.features.period import RidgePeriod, pooled_period
from ifvit.geometry.grid import frame_side

PART = 32
"""A canvas is a multiple of this in pixels: 64 of the frame, see :mod:`ifvit.features.enhancer`."""


@dataclass(frozen=True)
class FitConfig:
    """How scale and canvas are chosen. These settings affect scores, and are recorded with them."""

    period_px: float = 9.5
    """Ridge period that a frame should come near to, pixels."""
    step: float = 1.2
    """Ratio of one scale to the next: they go in steps, so that a print is drawn at few scales."""
    finest: int = 3
    """Largest number of steps: 1.2³ brings 5.5 px to 9.5. Coarse ridges are drawn as they are."""
    small: float = 0.5
    """Share of the larger print's reach below which the smaller print may lie at the very end of
    the larger one: all of the larger one is drawn then."""
    sizes: tuple[float, ...] = (1.0, 1.2, 1.4, 1.6, 2.0)
    """Sides of the canvas, as multiples of the one used in training: the first in which both prints
    fit is taken."""


FIT_CONFIG = FitConfig()


class Fit(NamedTuple):
    """How a print is drawn."""

    scale: float
    """Pixels of the frame per pixel at 500 ppi."""
    canvas: int
    """Side of the canvas, in pixels of the network."""
    side: int
    """Side of the frame, in pixels of the frame."""


def fit_of(
    periods: Sequence[RidgePeriod],
    reach_px: float,
    model: ModelConfig,
    settings: FitConfig = FIT_CONFIG,
) -> Fit:
    """Return how prints of these ridge periods are drawn together: one, or the two of a pair.

    ``reach_px`` is how far from their middles they reach, pixels at 500 ppi.
    """
    scale = scale_of(pooled_period(periods), settings)
    factor = REFERENCE_PPI // model.ppi
    canvases = [canvas_side(size, model) for size in settings.sizes]
    held = (canvas for canvas in canvases if factor * canvas >= 2 * scale * reach_px)
    canvas = next(held, canvases[-1])
    return Fit(scale, canvas, factor * canvas)


def drawn_at(scale: float, canvas: int, model: ModelConfig) -> Fit:
    """Return the fit with this scale and canvas."""
    return Fit(scale, canvas, frame_side(replace(model, canvas=canvas)))


def scale_of(period_px: float, settings: FitConfig = FIT_CONFIG) -> float:
    """Return the scale for ridges of a period in pixels at 500 ppi; 1 where it is not known."""
    if math.isnan(period_px):
        return 1.0
    steps = round(math.log(settings.period_px / period_px) / math.log(settings.step))
    return settings.step ** min(max(steps, 0), settings.finest)


def canvas_side(size: float, model: ModelConfig) -> int:
    """Return the side of a canvas ``size`` times the trained one, a multiple of :data:`PART`.

    The trained canvas itself stays as it is.
    """
    return model.canvas if size == 1 else max(1, round(size * model.canvas / PART)) * PART


def of_one_canvas(config: ModelConfig, canvas: int) -> FitConfig:
    """Return settings by which all prints are drawn on a canvas of this side.

    Raises ValueError for a side that is too small, or no multiple of :data:`PART`.
    """
    if canvas < config.canvas or canvas % PART:
        raise ValueError(
            f"a canvas of {canvas} pixels: expected a multiple of {PART}, at least the "
            f"{config.canvas} that the networks were trained with"
        )
    return replace(FIT_CONFIG, sizes=(canvas / config.canvas,))
