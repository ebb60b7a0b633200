"""The Coder: Module 2 at work on one print, which gives the print's template.

A print is looked at as it was captured, to find its pose, and once more in that pose. Ridges are
drawn at one period whatever the finger's own is, so that a template needs no partner for that.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int8

from ifvit.config import ModelConfig
from ifvit.features.features import Features
from ifvit.features.fit import FIT_CONFIG, FitConfig, drawn_at
from ifvit.features.network_view import frame_foreground, network_view
from ifvit.features.pose import Pose, pose_at, upright
from ifvit.features.quality import print_quality
from ifvit.geometry.grid import cell_mask, frame_side
from ifvit.geometry.warp import warp_pairs
from ifvit.models.embedding import MatcherModel
from ifvit.runtime.jax_runtime import compiled
from ifvit.weights.tensors import state_sha256

LOOSE = 1.6
"""Side of the canvas on which a pose is looked for, times the one trained with: a finger that was
set down by its end, or a frame that shows two joints, has its core far from the middle."""

INT8 = 127
"""What stands for 1 in a template's numbers."""


def loose_canvas(config: ModelConfig) -> int:
    """Return the side of the canvas on which a pose is looked for, pixels of the network."""
    return round(LOOSE * config.cells) * config.canvas // config.cells


class Template(NamedTuple):
    """What is kept of one print: 3.2 kB of cells, their mask, and an index vector of 256 bytes."""

    cells: Int8[np.ndarray, "h w K"]
    """The dense map, in the print's own pose: a unit vector for each cell, times 127."""
    mask: Bool[np.ndarray, "h w"]
    """Which cells show ridges."""
    index: Int8[np.ndarray, " E"]  # type: ignore[assignment]  # it hides tuple.index
    """The index vector: a unit vector, divided by its largest number, times 127."""
    core: tuple[float, float]
    """Where the finger's core lies, (x, y), pixels of the print at 500 ppi."""
    rotation: float
    """The finger's rotation against upright, degrees, x axis towards y axis."""
    confidence: float
    """How sure the pose is, 0 to 1: the length of the mean direction."""
    quality: float = math.nan
    """How probably the print is found again, 0 to 100 (:mod:`ifvit.features.quality`)."""


def template_scale(period_px: float, settings: FitConfig = FIT_CONFIG) -> float:
    """Return the scale at which ridges of a period in pixels at 500 ppi are drawn for a template.

    Not in steps, as for a pair (:func:`ifvit.features.fit.scale_of`): two prints of one finger
    could fall to either side of one. Coarse ridges stay as they are.
    """
    if math.isnan(period_px):
        return 1.0
    return min(max(settings.period_px / period_px, 1.0), settings.step**settings.finest)


class Coder:
    """A trained Module 2, ready to make templates. Compiles once, then serves any number."""

    def __init__(
        self, matcher: MatcherModel, fit_config: FitConfig = FIT_CONFIG, matcher_sha256: str = ""
    ) -> None:
        """Take the model, which is used in eval mode, and the sha256 of its checkpoint, if any."""
        self.config, self.fit_config = matcher.config, fit_config
        self._weights = matcher_sha256 or state_sha256(matcher)
        self._loose = replace(self.config, canvas=loose_canvas(self.config))
        view = nnx.view(matcher, use_running_average=True)
        self._pose = compiled(view, partial(_found_pose, config=self._loose))
        self._encode = compiled(view, MatcherModel.encode)

    def template(self, features: Features) -> Template:
        """Return the template of a print, which is made once and kept with its features."""
        made = features.templates.get(self._weights)
        if made is None:
            made = features.templates[self._weights] = self._made(features)
        return made

    def _made(self, features: Features) -> Template:
        scale = template_scale(features.period.px, self.fit_config)
        fit = drawn_at(scale, self._loose.canvas, self._loose)
        frame = jnp.asarray(features.drawn(fit))[None]
        mask = frame_foreground(frame, self._loose)
        pose = self._pose(frame, mask)
        posed, shown = _posed(frame, mask, pose, self.config)
        cells, index, _ = self._encode(posed, shown)
        core = features.placed(fit).on_print(np.asarray(pose.core[0], float))
        top = np.abs(np.asarray(index[0])).max()
        cells_shown = int(np.asarray(shown[0]).sum())
        return Template(
            cells=np.round(INT8 * np.asarray(cells[0])).astype(np.int8),
            mask=np.asarray(shown[0]),
            index=np.round(INT8 / max(top, 1e-9) * np.asarray(index[0])).astype(np.int8),
            core=(float(core[0]), float(core[1])),
            rotation=float(np.rad2deg(pose.rotation[0])),
            confidence=float(pose.confidence[0]),
            quality=print_quality(features.evidence, cells_shown) if features.ridges.any() else 0.0,
        )


def _found_pose(
    model: MatcherModel,
    frames: Float[Array, "B S S"],
    masks: Bool[Array, "B S S"],
    config: ModelConfig,
) -> Pose:
    """Return the pose of prints on the large canvas, pixels of their frames."""
    view, shown = network_view(frames, masks, config)
    return pose_at(model.pose(view, cell_mask(shown)), config)


@partial(jax.jit, static_argnames="config")
def _posed(
    frames: Float[Array, "B S S"], masks: Bool[Array, "B S S"], pose: Pose, config: ModelConfig
) -> tuple[Float[Array, "B H W"], Bool[Array, "B h w"]]:
    """Draw prints in their poses, on the canvas that Module 2 was trained with."""
    side = frame_side(config)
    view, shown = network_view(*warp_pairs(frames, masks, upright(pose, side), side), config)
    return view, cell_mask(shown)
