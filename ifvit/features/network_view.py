"""Frames at 500 ppi as the networks see them: reduced, normalised, their ridges enhanced."""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxtyping import Bool, Float

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.features.enhance import enhance
from ifvit.features.normalise import Contrast, contrast, foreground, normalise
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


class Canvas(NamedTuple):
    """Grey prints at the network's resolution, their foreground, and their local statistics."""

    image: Float[Any, "B H W"]
    mask: Bool[Any, "B H W"]
    local: Contrast

    @property
    def view(self) -> Float[Any, "B H W"]:
        """Return the prints normalised, 0 outside the foreground."""
        return normalise(self.image, self.mask, self.local)

    @property
    def network_input(self) -> tuple[Float[Any, "B H W"], Bool[Any, "B h w"]]:
        """Return the prints as an engine takes them, as :func:`network_input` does."""
        return self.view, cell_mask(self.mask)

    def frame_mask(self, model: ModelConfig) -> Bool[Any, "B S S"]:
        """Return the foreground of the frames, in their pixels at 500 ppi."""
        factor = REFERENCE_PPI // model.ppi
        return self.mask.repeat(factor, axis=1).repeat(factor, axis=2)


def canvas_of(frames: Float[Arrays, "B S S"], model: ModelConfig) -> Canvas:
    """Reduce grey frames at 500 ppi to the network's resolution and find their foreground there."""
    canvas = shrink(frames, REFERENCE_PPI // model.ppi)
    local = contrast(canvas, model.ppi)
    return Canvas(canvas, foreground(local, model.ppi), local)


def prepare(
    frames: Float[Arrays, "B S S"], model: ModelConfig
) -> tuple[Float[Arrays, "B H W"], Bool[Arrays, "B h w"]]:
    """Turn frames at 500 ppi into the network's input: normalised canvases and cell masks."""
    return canvas_of(frames, model).network_input


def frame_foreground(frames: Float[Arrays, "B S S"], model: ModelConfig) -> Bool[Arrays, "B S S"]:
    """Return the foreground of frames at 500 ppi, found at the network's resolution."""
    return canvas_of(frames, model).frame_mask(model)


def network_view(
    image: Float[Arrays, "B S S"], mask: Bool[Arrays, "B S S"], config: ModelConfig
) -> tuple[Float[Arrays, "B H W"], Bool[Arrays, "B H W"]]:
    """Reduce grey prints at 500 ppi to the network's canvas and normalise them there."""
    factor = REFERENCE_PPI // config.ppi
    coarse_mask = shrink(mask.astype(image.dtype), factor) > 0.5
    canvas = shrink(image, factor)
    return normalise(canvas, coarse_mask, contrast(canvas, config.ppi)), coarse_mask


def network_input(
    image: Float[Arrays, "B S S"], mask: Bool[Arrays, "B S S"], config: ModelConfig
) -> tuple[Float[Arrays, "B H W"], Bool[Arrays, "B h w"]]:
    """Return grey prints at 500 ppi as an engine takes them: canvases, and masks of their cells."""
    view, shown = network_view(image, mask, config)
    return view, cell_mask(shown)


def enhanced_view(
    image: Float[Arrays, "B S S"], mask: Bool[Arrays, "B S S"], config: ModelConfig
) -> Shown:
    """Return prints at 500 ppi on the network's canvas, their ridges enhanced by the contextual
    filter."""
    view, coarse_mask = network_view(image, mask, config)
    made = enhance(view, coarse_mask, config.ppi)
    return Shown(made.image, coarse_mask, made.orientation, made.coherence)
