"""Pose: where a finger's core lies on a print, and which way the finger points.

A template is made without a partner to align to. So the print is first laid in a pose of its own:
the core at a fixed place, the fingertip up. Module 2's pose head predicts the pose
(:func:`pose_at`). For a folder of real prints, which brings no exact poses to learn from, it is
found by the complex filter of first order on the orientation field (:func:`pose_of`; Nilsson and
Bigun, "Localization of corresponding points in fingerprints by complex filtering", Pattern
Recognition Letters 24(13), 2003): on a way around a loop the doubled angle of the ridges turns
once, as the direction from the core does, and the phase between the two says which way the loop
opens.

The filter assumes that the finger points upwards to within a right angle either way; in a plain
arch, which has no core, it finds the place where the ridges bend most.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ifvit.config import REFERENCE_PPI, STRIDE, ModelConfig
from ifvit.features.network_view import Shown
from ifvit.geometry.arrays import Arrays, product
from ifvit.geometry.filters import gaussian_weight, shrink
from ifvit.geometry.grid import frame_side
from ifvit.geometry.transforms import similarity_at

CELL = 4
"""Pixels of the network, along each side, whose orientation is averaged first."""

CORE_SIGMA_PX = 24.0
"""Standard deviation of the filter that finds the core, pixels at 500 ppi: some three ridges."""

TURN_SIGMA_PX = 48.0
"""Standard deviation of the filter that finds the finger's direction, pixels at 500 ppi: it is
wider, since the direction shows over more of the print."""

LEAST_FOREGROUND = 0.3
"""Share of a cell that must show ridges for the core to lie there."""

CORE_PLACE = (0.5, 0.42)
"""Where the core is laid, as shares of the canvas (x, y): above the middle, since more of a
fingertip's pad lies below the core."""


class Pose(NamedTuple):
    """The poses of B fingers on their canvases."""

    core: Float[Any, "B 2"]
    """The core (x, y), pixels at 500 ppi; the canvas's middle where it shows no ridges."""
    rotation: Float[Any, " B"]
    """Rotation of the finger against upright, radians, x axis towards y axis."""
    confidence: Float[Any, " B"] | float = 1.0
    """How certain the direction is, 0 to 1: the length of the mean of the predicted directions."""

    def with_direction_of(self, other: Pose) -> Pose:
        """Return these poses with the mean direction of both, weighted by their confidence."""
        library = self.rotation.__array_namespace__()
        both = [one.confidence * library.exp(1j * one.rotation) for one in (self, other)]
        mean = (both[0] + both[1]) / 2
        return Pose(self.core, library.angle(mean), abs(mean))


def pose_at(
    log_p: Float[Arrays, "B h w"],
    offset: Float[Arrays, "B h w 2"],
    up: Float[Arrays, "B h w 2"],
    config: ModelConfig,
) -> Pose:
    """Return the most probable poses of B prints, from the output of Module 2's pose head.

    The core is that of the most probable cell. The direction is the mean over the predictions of
    all cells, weighted by their probability, since the neighbours of that cell predict it as well.

    The arguments are as in :class:`ifvit.runtime.calls.CellPoses`, on the canvas of ``config``;
    the poses are in pixels at 500 ppi of its frame.
    """
    library = log_p.__array_namespace__()
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

    ``orientation`` is in radians along the ridge; all three arrays are at the network's resolution.
    """
    library = orientation.__array_namespace__()
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
    """Correlate a field (B, h, w) of doubled angles with that of a loop, in a Gaussian window about
    each cell.

    The filter (dx + i dy)/σ · exp(-r²/2σ²) is a sum of two separable filters, each of which takes
    two matrix products.
    """

    def lines(side: int) -> tuple[np.ndarray, np.ndarray]:
        apart = np.arange(side) - np.arange(side)[:, None]
        even = gaussian_weight(apart, sigma)
        return even.astype(np.float32), (apart / sigma * even).astype(np.float32)

    (even_y, odd_y), (even_x, odd_x) = (lines(side) for side in field.shape[1:])
    across = product(product(even_y, field), odd_x.T)
    down = product(product(odd_y, field), even_x.T)
    return across - 1j * down


def core_place(side: int) -> tuple[float, float]:
    """Return where the core of an upright print is laid on a canvas of ``side`` px, (x, y)."""
    return CORE_PLACE[0] * (side - 1), CORE_PLACE[1] * (side - 1)


def upright(pose: Pose, side: int, scale: Float[Any, "*B"] | float = 1.0) -> Any:
    """Return the output-to-input transforms that draw prints upright, the core at its place.

    ``side`` is that of the canvas in pixels at 500 ppi, the unit of the transforms too; one pixel
    of it is ``scale`` pixels of the print. ``pose`` may be one pose or B poses.
    """
    library = pose.rotation.__array_namespace__()
    cos, sin = scale * library.cos(pose.rotation), scale * library.sin(pose.rotation)
    return similarity_at(cos, sin, library.array(core_place(side)), pose.core)


def upright_of(shown: Shown, config: ModelConfig) -> Float[Any, "B 2 3"]:
    """Return the transforms that draw prints at 500 ppi upright, as their templates see them.

    Each print is drawn by its own pose (:func:`upright`).
    """
    pose = pose_of(shown.orientation, shown.coherence, shown.mask, config)
    return upright(pose, frame_side(config))
