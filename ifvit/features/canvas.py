"""A print on a canvas: foreground, enhanced ridges and their flow, at one scale."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ifvit.config import ModelConfig
from ifvit.features.network_view import Shown, enhanced_view, frame_foreground


class Ridges(NamedTuple):
    """An enhanced print at the network's resolution: about unit variance, 0 outside the mask."""

    image: Float[Array, "H W"]
    mask: Bool[Array, "H W"]


class Canvas(NamedTuple):
    """A print drawn for a match: its frame, grey in [0, 1], ridges dark, its foreground, and its
    enhanced ridges at the network's resolution; and, where another enhancer than the contextual
    filter made these, what it made of the frame. P prints have a leading axis P."""

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


def stacked(trees: Sequence[Any]) -> Any:
    """Return one tree whose arrays hold those of all, along a new first axis."""
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *trees)


@partial(jax.jit, static_argnames="config")
def canvas_of(
    frame: Float[Array, "S S"], source: Float[Array, "S S"] | None, config: ModelConfig
) -> Canvas:
    """Find the foreground of a grey frame, and its ridges: the filter's, or those of ``source``."""
    mask = frame_foreground(frame[None], config)
    shown = frame if source is None else source
    made = enhanced_view(shown[None], mask, config, filtered=source is None)
    one = jax.tree.map(lambda array: array[0], made)
    ridges = Ridges(one.image, one.mask)
    return Canvas(frame, mask[0], ridges, one.orientation, one.coherence, source)
