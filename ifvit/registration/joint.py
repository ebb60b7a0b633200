"""Shifts of all blocks chosen together: what each correlates best with, as its neighbours do.

By itself a block takes the neighbouring ridge for its own wherever that looks alike. A minutia or a
bend near by tells them apart, and what it tells is handed on from block to block by min-sum belief
propagation. Source: Felzenszwalb and Huttenlocher, "Efficient belief propagation for early vision",
IJCV 70(1), 2006, sections 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

WAYS = ((0, 1), (0, -1), (1, 1), (1, -1))
"""Axis of the grid and direction in which a message is passed: down, up, right, left."""

BACK = (1, 0, 3, 2)
"""The way back of each."""


@dataclass(frozen=True)
class JointConfig:
    """Settings of the joint choice. Lengths in shifts, which are pixels of the network."""

    stiffness: float = 0.1
    """Correlation that two neighbours' shifts have to gain by differing by one, by its square."""
    break_at: int = 3
    """Difference from which a larger one costs no more: a block may be wrong."""
    rounds: int = 8
    """Messages that each block sends: how many cells far a block is heard."""
    damping: float = 0.5
    """Share of its last message that a block repeats, so that messages settle."""


JOINT_CONFIG = JointConfig()


def chosen_together(
    ncc: Float[Array, "S S h w"], settings: JointConfig = JOINT_CONFIG
) -> tuple[Int[Array, "h w"], Int[Array, "h w"]]:
    """Return row and column of each block's shift, those of most correlation that go together.

    ``ncc`` is each block's correlation under all shifts, 0 where it says nothing: such a block
    follows its neighbours.
    """

    def exchange(_: object, heard: Array) -> Array:
        known = heard.sum(axis=0) - ncc - heard[np.array(BACK)]
        said = [
            _passed(message, 2 + axis, step)
            for message, (axis, step) in zip(_messages(known, settings), WAYS, strict=True)
        ]
        return settings.damping * heard + (1 - settings.damping) * jnp.stack(said)

    silent = jnp.zeros((len(WAYS), *ncc.shape), ncc.dtype)
    heard = jax.lax.fori_loop(0, settings.rounds, exchange, silent)
    cost = heard.sum(axis=0) - ncc
    best = jnp.argmin(cost.reshape(-1, *ncc.shape[2:]), axis=0)
    return best // ncc.shape[1], best % ncc.shape[1]


def _messages(cost: Float[Array, "4 S S h w"], settings: JointConfig) -> Float[Array, "4 S S h w"]:
    """Return, for each shift of the receiver, the least cost of the sender's and their difference.

    The square of a difference is the sum of its squares along both axes, so that each is searched
    by itself; the mean is taken off, since costs alike for all shifts say nothing.
    """
    message = cost - cost.min(axis=(1, 2), keepdims=True)
    for axis in (1, 2):
        message = _nearest_along(axis, message, settings)
    message = jnp.minimum(message, settings.stiffness * settings.break_at**2)
    return message - message.mean(axis=(1, 2), keepdims=True)


def _nearest_along(
    axis: int, cost: Float[Array, "4 S S h w"], settings: JointConfig
) -> Float[Array, "4 S S h w"]:
    reach, count = settings.break_at, cost.shape[axis]
    sides = [(reach, reach) if own == axis else (0, 0) for own in range(cost.ndim)]
    padded = jnp.pad(cost, sides, constant_values=jnp.inf)
    tried = [
        jax.lax.slice_in_dim(padded, reach + away, reach + away + count, axis=axis)
        + settings.stiffness * away**2
        for away in range(-reach, reach + 1)
    ]
    return reduce(jnp.minimum, tried)


def _passed(message: Float[Array, "S S h w"], axis: int, step: int) -> Float[Array, "S S h w"]:
    """Return messages at the neighbour they are for; the first of the grid's line hears none."""
    count = message.shape[axis]
    kept = jax.lax.slice_in_dim(message, max(-step, 0), count + min(-step, 0), axis=axis)
    sides = [(max(step, 0), max(-step, 0)) if own == axis else (0, 0) for own in range(4)]
    return jnp.pad(kept, sides)
