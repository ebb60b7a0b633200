"""Where a finger's core lies on a print, and which way the finger points: what places a template.

A template is made without a partner to align to. So the print is first laid in a pose of its own:
core at one place, fingertip up. Module 2's pose head says where (:func:`pose_at`). A folder of real
prints, which has no exact poses to learn from, gets them by the complex filter of first order on
the orientation field (:func:`pose_of`; Nilsson and Bigun, "Localization of corresponding points in
fingerprints by complex filtering", Pattern Recognition Letters 24(13), 2003): around a loop twice
the ridge's angle turns once, as the direction from the core does, and the phase between the two
says which way the loop opens.

The filter takes the finger to point upwards by less than a right angle either way; to a plain arch,
which has no core, it gives the place where the ridges bend most.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ifvit.config import REFERENCE_PPI, STRIDE, ModelConfig
from ifvit.features.network_view import Shown
from ifvit.geometry.arrays import Arrays, library_of, product
from ifvit.geometry.filters import shrink
from ifvit.geometry.grid import frame_side
from ifvit.geometry.transforms import similarity_at

CELL = 4
"""Pixels of the network, along each side, whose orientation is averaged first."""

CORE_SIGMA_PX = 24.0
"""Standard deviation of the filter that finds the core, at 500 ppi: some three ridges."""

TURN_SIGMA_PX = 48.0
"""Of the one that tells the finger's direction: more of the print has a say in that."""

LEAST_FOREGROUND = 0.3
"""Share of a cell that must show ridges for the core to lie there."""

CORE_PLACE = (0.5, 0.42)
"""Where the core comes to lie, as shares of the canvas (x, y): more of a pad is below it."""


class Pose(NamedTuple):
    """B fingers on their canvases."""

    core: Float[Any, "B 2"]
    """(x, y), pixels at 500 ppi; the canvas's middle where it shows no ridges."""
    rotation: Float[Any, " B"]
    """Of the finger against upright, radians, x axis towards y axis."""
    confidence: Float[Any, " B"] | float = 1.0
    """How sure the direction is, 0 to 1: the length of the mean of what was said of it."""

    def with_direction_of(self, other: Pose) -> Pose:
        """Return these poses, their directions the means of both, weighed by how sure each is."""
        library = library_of(self.rotation)
        both = [one.confidence * library.exp(1j * one.rotation) for one in (self, other)]
        mean = (both[0] + both[1]) / 2
        return Pose(self.core, library.angle(mean), abs(mean))


def pose_at(
    log_p: Float[Arrays, "B h w"],
    offset: Float[Arrays, "B h w 2"],
    up: Float[Arrays, "B h w 2"],
    config: ModelConfig,
) -> Pose:
    """Return the most probable pose of what Module 2's pose head says of B prints.

    The core is that of the most probable cell; the direction the mean of what all cells say, by
    their probability: neighbours of that cell know it as well.

    See :class:`ifvit.runtime.calls.CellPoses`. On the canvas of ``config``; pixels at 500 ppi of
    its frame.
    """
    library = library_of(log_p)
    batch, _, columns = log_p.shape
    best = library.argmax(log_p.reshape(batch, -1), axis=1)
    apart = library.take_along_axis(offset.reshape(batch, -1, 2), best[:, None, None], axis=1)[:, 0]
    way = (library.exp(log_p)[..., None] * up).sum((1, 2))
    cell_px = STRIDE * REFERENCE_PPI / config.ppi
    cell = library.stack([best % columns, best // columns], axis=-1)
    core = (cell + apart + 0.5) * cell_px - 0.5
    length = library.sqrt(library.square(way).sum(-1))
    return Pose(core, library.arctan2(way[:, 1], way[:, 0]), library.minimum(length, 1.0))


def pose_of(
    orientation: Float[Arrays, "B H W"],
    coherence: Float[Arrays, "B H W"],
    mask: Bool[Arrays, "B H W"],
    config: ModelConfig,
) -> Pose:
    """Find each print's pose from its flow (:func:`ifvit.features.enhance.flow`).

    Orientation in radians along the ridge; all three at the network's resolution.
    """
    library = library_of(orientation)
    shown = shrink(mask.astype(library.float32), CELL)
    weight = library.where(mask, coherence, 0.0)
    parts = weight * library.cos(2 * orientation), weight * library.sin(2 * orientation)
    field = shrink(parts[0], CELL) + 1j * shrink(parts[1], CELL)
    cell_px = CELL * REFERENCE_PPI / config.ppi
    # The phase of an upright loop, which opens downwards, is a right angle.
    response = _loop_response(field, CORE_SIGMA_PX / cell_px) / 1j
    evidence = library.where(shown > LEAST_FOREGROUND, response.real, -library.inf)
    batch, _, columns = evidence.shape
    best = library.argmax(evidence.reshape(batch, -1), axis=1)
    row, column = best // columns, best % columns
    turn = _loop_response(field, TURN_SIGMA_PX / cell_px) / 1j
    rotation = library.angle(turn[library.arange(batch), row, column])
    core = (library.stack([column, row], axis=-1) + 0.5) * cell_px - 0.5
    found = library.any(shown > LEAST_FOREGROUND, axis=(1, 2))
    middle = (config.canvas * REFERENCE_PPI / config.ppi - 1) / 2
    return Pose(library.where(found[:, None], core, middle), library.where(found, rotation, 0.0))


def _loop_response(field: Any, sigma: float) -> Any:
    """Correlate a field (B, h, w) of doubled angles with that of a loop, Gaussian about each cell.

    The filter (dx + i dy)/σ · exp(-r²/2σ²) is a sum of two products of lines: two matrix products
    each.
    """

    def lines(side: int) -> tuple[np.ndarray, np.ndarray]:
        apart = (np.arange(side) - np.arange(side)[:, None]) / sigma
        even = np.exp(-0.5 * apart**2)
        return even.astype(np.float32), (apart * even).astype(np.float32)

    (even_y, odd_y), (even_x, odd_x) = (lines(side) for side in field.shape[1:])
    across = product(product(even_y, field), odd_x.T)
    down = product(product(odd_y, field), even_x.T)
    return across - 1j * down


def core_place(side: int) -> tuple[float, float]:
    """Return where the core of an upright print is laid on a canvas of ``side`` px, (x, y)."""
    return CORE_PLACE[0] * (side - 1), CORE_PLACE[1] * (side - 1)


def upright(pose: Pose, side: int, scale: Float[Any, "*B"] | float = 1.0) -> Any:
    """Return the output-to-input transforms that draw prints upright, core at its place.

    ``side`` is the canvas's in pixels at 500 ppi, in which the transforms are too; a pixel of it
    is ``scale`` pixels of the print. Of one pose or of B.
    """
    library = library_of(pose.rotation)
    cos, sin = scale * library.cos(pose.rotation), scale * library.sin(pose.rotation)
    return similarity_at(cos, sin, library.array(core_place(side)), pose.core)


def upright_of(shown: Shown, config: ModelConfig) -> Float[Any, "B 2 3"]:
    """Return the transforms that draw prints at 500 ppi upright, as their templates see them.

    Each by its own pose (:func:`upright`).
    """
    pose = pose_of(shown.orientation, shown.coherence, shown.mask, config)
    return upright(pose, frame_side(config))
