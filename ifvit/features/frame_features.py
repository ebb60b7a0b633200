"""What is made of a print at one factor: foreground, enhanced ridges, flow, Module 1's map."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ifvit.config import ModelConfig
from ifvit.features.network_view import Shown, enhanced_view, frame_foreground
from ifvit.features.pose import upright_of


class Ridges(NamedTuple):
    """An enhanced print at the network's resolution: about unit variance, 0 outside the mask."""

    image: Float[np.ndarray, "H W"]
    mask: Bool[np.ndarray, "H W"]


class FrameFeatures(NamedTuple):
    """What is made of a print's frame: the frame itself, grey in [0, 1], ridges dark; its
    foreground; its enhanced ridges at the network's resolution; and, where another enhancer than
    the contextual filter made these, what it made of the frame."""

    image: Float[np.ndarray, "S S"]
    mask: Bool[np.ndarray, "S S"]
    ridges: Ridges
    orientation: Float[np.ndarray, "H W"]
    """Which way the ridges run, radians modulo π, at the network's resolution."""
    coherence: Float[np.ndarray, "H W"]
    """How clear they are, in [0, 1]."""
    source: Float[np.ndarray, "S S"] | None = None


class FeatureMap(NamedTuple):
    """What Module 1's backbone makes of a frame, and which coarse cells are foreground."""

    values: Float[np.ndarray, "h w D"]
    cells: Bool[np.ndarray, "h w"]


def frame_features(
    frame: Float[np.ndarray, "S S"], source: Float[np.ndarray, "S S"] | None, config: ModelConfig
) -> FrameFeatures:
    """Find the foreground of a grey frame, and its ridges: the filter's, or those of ``source``."""
    mask = frame_foreground(frame[None], config)
    shown = frame if source is None else source
    made = enhanced_view(shown[None], mask, config, filtered=source is None)
    ridges = Ridges(made.image[0], made.mask[0])
    return FrameFeatures(frame, mask[0], ridges, made.orientation[0], made.coherence[0], source)


def upright_transform(frame: FrameFeatures, config: ModelConfig) -> Float[np.ndarray, "2 3"]:
    """Return the transform that draws a frame upright, core at its place, by the print's pose."""
    every = *frame.ridges, frame.orientation, frame.coherence
    return upright_of(Shown(*(one[None] for one in every)), config)[0]
