"""A print on a canvas: foreground, enhanced ridges and their flow, at one scale."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ifvit.config import ModelConfig
from ifvit.data.aligned import compose, inverse
from ifvit.data.pairs import frame_foreground
from ifvit.models.matcher import MatcherInput
from ifvit.pipeline.elastic import Ridges
from ifvit.pipeline.overlap import Shown, enhanced_view, matcher_input, upright_of, warp_pairs


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


@partial(jax.jit, static_argnames="config")
def template_input(canvases: Canvas, config: ModelConfig) -> MatcherInput:
    """Return Module 2's views of P prints by themselves, each upright: (print, print).

    The canvases' arrays have a leading axis P.
    """
    laid = upright_of(canvases.shown, config)
    image, mask = warp_pairs(canvases.image, canvases.mask, laid)
    sources = None
    if canvases.source is not None:
        source, _ = warp_pairs(canvases.source, canvases.mask, laid)
        sources = source, source
    count = len(image)
    still, alone = jnp.tile(jnp.eye(2, 3), (count, 1, 1)), jnp.ones(count, bool)
    views, _ = matcher_input(image, mask, image, mask, still, config, sources, alone=alone)
    return views


@partial(jax.jit, static_argnames="config")
def core_on_core(
    canvases0: Canvas, canvases1: Canvas, config: ModelConfig
) -> Float[Array, "P 2 3"]:
    """Return the transforms H_0to1 that lay prints 1 on prints 0, core on core, both upright."""
    place0, place1 = upright_of(canvases0.shown, config), upright_of(canvases1.shown, config)
    return jax.vmap(compose)(place1, jax.vmap(inverse)(place0))
