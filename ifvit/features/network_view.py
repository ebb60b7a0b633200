"""Frames at 500 ppi as the networks see them: reduced, normalised, their ridges enhanced."""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxtyping import Bool, Float

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.features.enhance import enhance, unfiltered
from ifvit.features.normalise import foreground, normalise
from ifvit.geometry.arrays import Arrays
from ifvit.geometry.filters import shrink
from ifvit.geometry.grid import cell_mask


class Shown(NamedTuple):
    """Prints on the network's canvas: enhanced ridges, foreground, the direction along the ridges
    in radians modulo π, and how clear that direction is."""

    image: Float[Any, "*B H W"]
    mask: Bool[Any, "*B H W"]
    orientation: Float[Any, "*B H W"]
    coherence: Float[Any, "*B H W"]


def prepare(
    frames: Float[Arrays, "B S S"], model: ModelConfig
) -> tuple[Float[Arrays, "B H W"], Bool[Arrays, "B h w"]]:
    """Turn frames at 500 ppi into the network's input: normalised canvases and cell masks."""
    canvas = shrink(frames, REFERENCE_PPI // model.ppi)
    mask = foreground(canvas, model.ppi)
    return normalise(canvas, mask, model.ppi), cell_mask(mask)


def frame_foreground(frames: Float[Arrays, "B S S"], model: ModelConfig) -> Bool[Arrays, "B S S"]:
    """Return the foreground of frames at 500 ppi, found at the network's resolution."""
    factor = REFERENCE_PPI // model.ppi
    mask = foreground(shrink(frames, factor), model.ppi)
    return mask.repeat(factor, axis=1).repeat(factor, axis=2)


def network_view(
    image: Float[Arrays, "B S S"], mask: Bool[Arrays, "B S S"], config: ModelConfig
) -> tuple[Float[Arrays, "B H W"], Bool[Arrays, "B H W"]]:
    """Reduce grey prints at 500 ppi to the network's canvas and normalise them there."""
    factor = REFERENCE_PPI // config.ppi
    coarse_mask = shrink(mask.astype(image.dtype), factor) > 0.5
    return normalise(shrink(image, factor), coarse_mask, config.ppi), coarse_mask


def network_input(
    image: Float[Arrays, "B S S"], mask: Bool[Arrays, "B S S"], config: ModelConfig
) -> tuple[Float[Arrays, "B H W"], Bool[Arrays, "B h w"]]:
    """Return grey prints at 500 ppi as an engine takes them: canvases, and masks of their cells."""
    view, shown = network_view(image, mask, config)
    return view, cell_mask(shown)


def enhanced_view(
    image: Float[Arrays, "B S S"],
    mask: Bool[Arrays, "B S S"],
    config: ModelConfig,
    filtered: bool = True,
) -> Shown:
    """Return prints at 500 ppi on the network's canvas, their ridges enhanced by the contextual
    filter where ``filtered``, else as they are."""
    view, coarse_mask = network_view(image, mask, config)
    made = (enhance if filtered else unfiltered)(view, coarse_mask, config.ppi)
    return Shown(made.image, coarse_mask, made.orientation, made.coherence)
