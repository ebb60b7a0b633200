"""Aligned pairs for Module 2: two frames, how one lies on the other, and who they are of.

Module 2 sees what alignment leaves: elastic distortion, and the alignment's own error, which is
drawn here so that the network meets it in training.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ifvit.config import ModelConfig
from ifvit.geometry.grid import cell_centres
from ifvit.geometry.transforms import compose, similarity_at

IMPOSTOR_SPREAD = 1.5
"""How much wider than a genuine pair's error the placement of an impostor pair is drawn: two
fingers' flows hold an alignment in place less firmly than their ridges would."""


class AlignedBatch(NamedTuple):
    """B pairs of frames (S, S) in [0, 1] at 500 ppi, with all that Module 2 learns from."""

    frame0: Float[Array, "B S S"]
    frame1: Float[Array, "B S S"]
    H_0to1: Float[Array, "B 2 3"]
    """The alignment, error included, frame pixels."""
    points1: Float[Array, "B N 2"]
    """Where image 0's cell centres truly are in frame 1 once it is drawn through ``H_0to1``."""
    points0: Float[Array, "B N 2"]
    """The reverse: where the cell centres of that drawn frame truly are in frame 0."""
    valid: Bool[Array, "B N"]
    label0: Int[Array, " B"]
    label1: Int[Array, " B"]
    genuine: Bool[Array, " B"]
    alone: Bool[Array, " B"]
    """Which rows show one print twice, for its template: see :func:`template_rows`."""


Realign = Callable[[Array, Array, Array], np.ndarray]
"""Frames 0, frames 1 and rough alignments (B,2,3) to better alignments."""


class AlignmentError(NamedTuple):
    """Standard deviations of the error to train for: pixels at 500 ppi, and degrees."""

    shift_px: float
    rotation: float


def disturb(
    key: PRNGKeyArray, H: Float[Array, "2 3"], spread: Array, error: AlignmentError, side: int
) -> Float[Array, "2 3"]:
    """Return the transform with a random error in front: a turn about the middle and a shift."""
    normal = jnp.clip(jax.random.normal(key, (3,)), -2, 2) * spread
    angle = jnp.deg2rad(error.rotation) * normal[0]
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    middle = jnp.full(2, (side - 1) / 2)
    return compose(
        H, similarity_at(cos, sin, middle, middle).at[:, 2].add(error.shift_px * normal[1:])
    )


def template_rows(rng: np.random.Generator, size: int, ratio: float) -> Bool[np.ndarray, " B"]:
    """Draw which rows of a batch show stand-alone templates: two by two, those of one finger.

    Such a two is a genuine pair as templates have it: print 0 is in the first row, print 1 in the
    second, and neither knows the other. An odd last row is never drawn.
    """
    twos = np.repeat(rng.random(size // 2) < ratio, 2)
    return np.pad(twos, (0, size % 2))


@partial(jax.jit, static_argnames="model")
def stand_alone(batch: AlignedBatch, alone: Bool[Array, " B"], model: ModelConfig) -> AlignedBatch:
    """Show print 0 of some rows twice: what a stand-alone template is computed from."""
    centres = jnp.broadcast_to(cell_centres(model), batch.points1.shape)
    itself = batch._replace(
        frame1=batch.frame0,
        H_0to1=jnp.broadcast_to(jnp.eye(2, 3), batch.H_0to1.shape),
        points1=centres,
        points0=centres,
        valid=jnp.ones_like(batch.valid),
        label1=batch.label0,
        alone=jnp.ones_like(batch.alone),
    )

    def choose(own: Array, other: Array) -> Array:
        return jnp.where(alone.reshape(-1, *[1] * (own.ndim - 1)), own, other)

    return jax.tree.map(choose, itself, batch)
