"""What is made of a print at one factor: foreground, enhanced ridges, flow, Module 1's map."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ifvit.config import ModelConfig
from ifvit.features.network_view import Shown, enhanced_view, frame_foreground, network_view
from ifvit.geometry.grid import cell_mask
from ifvit.models.dense_reg import DenseRegModel


class Ridges(NamedTuple):
    """An enhanced print at the network's resolution: about unit variance, 0 outside the mask."""

    image: Float[Array, "H W"]
    mask: Bool[Array, "H W"]


class FrameFeatures(NamedTuple):
    """What is made of a print's frame: the frame itself, grey in [0, 1], ridges dark; its
    foreground; its enhanced ridges at the network's resolution; and, where another enhancer than
    the contextual filter made these, what it made of the frame. P prints have a leading axis P."""

    image: Float[Array, "S S"]
    mask: Bool[Array, "S S"]
    ridges: Ridges
    orientation: Float[Array, "H W"]
    """Which way the ridges run, radians modulo π, at the network's resolution."""
    coherence: Float[Array, "H W"]
    """How clear they are, in [0, 1]."""
    source: Float[Array, "S S"] | None = None

    @property
    def shown(self) -> Shown:
        """Return the print on the network's canvas, enhanced."""
        return Shown(*self.ridges, self.orientation, self.coherence)


class FeatureMap(NamedTuple):
    """What Module 1's backbone makes of a frame, and which coarse cells are foreground. P prints
    have a leading axis P."""

    values: Float[Array, "h w D"]
    cells: Bool[Array, "h w"]


def stacked(trees: Sequence[Any]) -> Any:
    """Return one tree whose arrays hold those of all, along a new first axis."""
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *trees)


@partial(jax.jit, static_argnames="config")
def frame_features(
    frame: Float[Array, "S S"], source: Float[Array, "S S"] | None, config: ModelConfig
) -> FrameFeatures:
    """Find the foreground of a grey frame, and its ridges: the filter's, or those of ``source``."""
    mask = frame_foreground(frame[None], config)
    shown = frame if source is None else source
    made = enhanced_view(shown[None], mask, config, filtered=source is None)
    one = jax.tree.map(lambda array: array[0], made)
    ridges = Ridges(one.image, one.mask)
    return FrameFeatures(frame, mask[0], ridges, one.orientation, one.coherence, source)


def feature_map(
    model: DenseRegModel, image: Float[Array, "S S"], mask: Bool[Array, "S S"]
) -> FeatureMap:
    """Run Module 1's backbone on a frame and its foreground."""
    view, shown = network_view(image[None], mask[None], model.config)
    return FeatureMap(model.ResNet18(view)[0][0], cell_mask(shown)[0])
