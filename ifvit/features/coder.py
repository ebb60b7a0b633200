"""The Coder: Module 2 at work on one print, which gives the print's template.

Module 2 sees a print first as it was captured, to find its pose, a second time drawn upright where
the print is turned, and at last in its pose. Ridges are drawn at one period whatever the finger's
own is, so that a template can be made without a partner.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int8

from ifvit.config import ModelConfig
from ifvit.features.features import Features
from ifvit.features.fit import FIT_CONFIG, FitConfig, drawn_at
from ifvit.features.network_view import Canvas, canvas_of, network_input
from ifvit.features.pose import Pose, pose_at, upright
from ifvit.features.quality import print_quality
from ifvit.geometry.grid import frame_side
from ifvit.geometry.transforms import similarity
from ifvit.geometry.warp import warp
from ifvit.runtime.blas import by_one_thread
from ifvit.runtime.calls import Engine

LOOSE = 1.6
"""Side of the canvas on which a pose is looked for, as a multiple of the one used in training: a
finger set down by its tip, or a frame that shows two joints, has its core far from the middle."""

TURNED_DEG = 8.0
"""Rotation from which on Module 2 sees a print upright too: below it that changes hardly
anything."""

INT8 = 127
"""The integer that stands for 1 in a template's dense map and index vector."""


def loose_canvas(config: ModelConfig) -> int:
    """Return the side of the canvas on which a pose is looked for, pixels of the network."""
    return round(LOOSE * config.cells) * config.canvas // config.cells


class Template(NamedTuple):
    """What is kept of one print: 3.2 kB of cells, their mask, and an index vector of 256 bytes."""

    cells: Int8[np.ndarray, "h w K"]
    """The dense map, in the print's own pose: a unit vector for each cell, multiplied by 127."""
    mask: Bool[np.ndarray, "h w"]
    """Which cells show ridges."""
    index: Int8[np.ndarray, " E"]  # type: ignore[assignment]  # it hides tuple.index
    """The index vector, scaled so that the largest magnitude among its numbers is 127."""
    core: tuple[float, float]
    """Where the finger's core lies, (x, y), pixels of the print at 500 ppi."""
    rotation: float
    """The finger's rotation against upright, degrees, x axis towards y axis."""
    confidence: float
    """How certain the pose is, 0 to 1: the length of the mean direction."""
    quality: float = math.nan
    """How probably the print is found again, 0 to 100 (:mod:`ifvit.features.quality`)."""

    def record(self) -> dict[str, Any]:
        """Return quality (None where it is not known) and pose as plain values for JSON."""
        return {
            "quality": None if math.isnan(self.quality) else self.quality,
            "pose": {
                "core": np.round(self.core, 2).tolist(),
                "rotation": round(self.rotation, 2),
                "confidence": round(self.confidence, 3),
            },
        }


def template_scale(period_px: float, settings: FitConfig = FIT_CONFIG) -> float:
    """Return the scale at which ridges of a period in pixels at 500 ppi are drawn for a template.

    It does not go in steps, as that of a pair does (:func:`ifvit.features.fit.scale_of`): two
    prints of one finger could fall on either side of a step. Coarse ridges are drawn as they are.
    """
    if math.isnan(period_px):
        return 1.0
    return min(max(settings.period_px / period_px, 1.0), settings.step**settings.finest)


class Coder:
    """A trained Module 2, ready to make templates."""

    def __init__(self, engine: Engine, fit_config: FitConfig = FIT_CONFIG) -> None:
        """Take what executes Module 2."""
        self.engine, self.config, self.fit_config = engine, engine.config, fit_config
        self._loose = replace(self.config, canvas=loose_canvas(self.config))

    @by_one_thread
    def template(self, features: Features) -> Template:
        """Return the template of a print, which is computed once and kept in its features."""
        key = self.engine.matcher_sha256
        return features.once(features.templates, key, lambda: self._made(features))

    def _made(self, features: Features) -> Template:
        scale = template_scale(features.period.px, self.fit_config)
        fit = drawn_at(scale, self._loose.canvas, self._loose)
        frame = features.drawn(fit)
        canvas = canvas_of(frame[None], self._loose)
        pose = self.pose(frame, canvas)
        posed, shown = self._posed(frame, canvas.frame_mask(self._loose)[0], pose)
        cells, index = self.engine.code(posed, shown)
        core = features.placed(fit).on_print(np.asarray(pose.core[0], float))
        top, cells_shown = np.abs(index[0]).max(), int(shown[0].sum())
        return Template(
            cells=np.round(INT8 * cells[0]).astype(np.int8),
            mask=shown[0],
            index=np.round(INT8 / max(top, 1e-9) * index[0]).astype(np.int8),
            core=(float(core[0]), float(core[1])),
            rotation=float(np.rad2deg(pose.rotation[0])),
            confidence=float(np.asarray(pose.confidence)[0]),
            quality=print_quality(features.evidence, cells_shown) if features.ridges.any() else 0.0,
        )

    def pose(self, frame: Float[np.ndarray, "S S"], canvas: Canvas) -> Pose:
        """Return the pose of a print on the large canvas (:data:`LOOSE`), pixels of its frame.

        ``canvas`` is the frame reduced to the network's resolution. For a turned print the
        direction is the mean of two predictions, the second one of the print drawn upright: what a
        network predicts for one finger depends a little on its rotation.
        """
        first = self._seen(*canvas.network_input)
        angle = float(np.rad2deg(first.rotation[0]))
        if abs(angle) < TURNED_DEG:
            return first
        middle, mask = (len(frame) - 1) / 2, canvas.frame_mask(self._loose)[0]
        turned = warp(frame, mask, similarity(angle, (middle, middle))[None])
        second = self._seen(*network_input(*turned, self._loose))
        upright_again = second._replace(rotation=second.rotation + first.rotation)
        return first.with_direction_of(upright_again)

    def _seen(self, view: Float[np.ndarray, "1 H W"], cells: Bool[np.ndarray, "1 h w"]) -> Pose:
        return pose_at(*self.engine.pose(view, cells), self._loose)

    def _posed(
        self, frame: Float[np.ndarray, "S S"], mask: Bool[np.ndarray, "S S"], pose: Pose
    ) -> tuple[Float[np.ndarray, "1 H W"], Bool[np.ndarray, "1 h w"]]:
        """Draw a print in its pose, on the canvas that Module 2 was trained with."""
        side = frame_side(self.config)
        drawn = warp(frame, mask, upright(pose, side), shape=(side, side))
        return network_input(*drawn, self.config)
