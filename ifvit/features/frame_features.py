"""A print drawn at one factor: its foreground, enhanced ridges, flow, and Module 1's map."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ifvit.config import ModelConfig
from ifvit.features.enhance import enhance, unfiltered
from ifvit.features.network_view import Shown, canvas_of, network_view
from ifvit.features.pose import upright_of


class Ridges(NamedTuple):
    """An enhanced print at the network's resolution: about unit variance, 0 outside the mask."""

    image: Float[np.ndarray, "H W"]
    mask: Bool[np.ndarray, "H W"]


class FrameFeatures(NamedTuple):
    """A print's frame, grey in [0, 1], ridges dark; its foreground; its enhanced ridges at the
    network's resolution; and, where another enhancer than the contextual filter made these, the
    image that the enhancer returned for the frame (``source``)."""

    image: Float[np.ndarray, "S S"]
    mask: Bool[np.ndarray, "S S"]
    ridges: Ridges
    orientation: Float[np.ndarray, "H W"]
    """Direction along the ridges, radians modulo π, at the network's resolution."""
    coherence: Float[np.ndarray, "H W"]
    """How clearly the ridges have one direction, in [0, 1]."""
    source: Float[np.ndarray, "S S"] | None = None


class FeatureMap(NamedTuple):
    """The output of Module 1's backbone for a frame, and which coarse cells are foreground."""

    values: Float[np.ndarray, "h w D"]
    cells: Bool[np.ndarray, "h w"]


def frame_features(
    frame: Float[np.ndarray, "S S"], source: Float[np.ndarray, "S S"] | None, config: ModelConfig
) -> FrameFeatures:
    """Find the foreground of a grey frame, and its ridges: those of the contextual filter, or those
    of ``source``."""
    canvas = canvas_of(frame[None], config)
    mask = canvas.frame_mask(config)
    if source is None:
        made = enhance(canvas.view, canvas.mask, config.ppi)
    else:
        view, _ = network_view(source[None], mask, config)
        made = unfiltered(view, canvas.mask, config.ppi)
    ridges = Ridges(made.image[0], canvas.mask[0])
    return FrameFeatures(frame, mask[0], ridges, made.orientation[0], made.coherence[0], source)


def upright_transform(frame: FrameFeatures, config: ModelConfig) -> Float[np.ndarray, "2 3"]:
    """Return the transform that draws a frame upright by the print's pose, the core at its place
    on the canvas."""
    every = *frame.ridges, frame.orientation, frame.coherence
    return upright_of(Shown(*(one[None] for one in every)), config)[0]
