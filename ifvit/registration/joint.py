"""Shifts of all blocks chosen together: each correlates well, and neighbours have similar shifts.

By itself a block takes the neighbouring ridge for its own wherever that looks alike. A minutia or a
bend near by tells them apart, and this knowledge is passed from block to block by min-sum belief
propagation. Source: Felzenszwalb and Huttenlocher, "Efficient belief propagation for early vision",
IJCV 70(1), 2006, sections 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

WAYS = ((0, 1), (0, -1), (1, 1), (1, -1))
"""Axis of the grid and direction in which a message is passed: down, up, right, left."""

BACK = (1, 0, 3, 2)
"""The opposite of each way, as its index in :data:`WAYS`."""


@dataclass(frozen=True)
class JointConfig:
    """Settings of the joint choice. Shifts are in pixels of the network."""

    stiffness: float = 0.1
    """Cost, in correlation, of a difference of one between the shifts of two neighbours; it grows
    with the square of the difference."""
    break_at: int = 3
    """Difference from which on the cost grows no further, since a block may be wrong."""
    rounds: int = 8
    """Number of messages that each block sends, and so of cells that its knowledge travels."""
    damping: float = 0.5
    """Share of its last message that a block repeats, so that messages settle."""


JOINT_CONFIG = JointConfig()


def chosen_together(
    ncc: Float[np.ndarray, "S S h w"], settings: JointConfig = JOINT_CONFIG
) -> tuple[Int[np.ndarray, "h w"], Int[np.ndarray, "h w"]]:
    """Return row and column of each block's shift: those of most correlation and least difference.

    ``ncc`` is each block's correlation under all shifts; a block for which it is 0 throughout
    follows its neighbours.
    """
    heard = np.zeros((len(WAYS), *ncc.shape), np.float32)
    for _ in range(settings.rounds):
        known = heard.sum(axis=0) - ncc - heard[np.array(BACK)]
        messages = _messages(known, settings)
        heard *= settings.damping
        for own, message, (axis, step) in zip(heard, messages, WAYS, strict=True):
            _receive(own, (1 - settings.damping) * message, 2 + axis, step)
    cost = heard.sum(axis=0) - ncc
    best = cost.reshape(-1, *ncc.shape[2:]).argmin(axis=0)
    return best // ncc.shape[1], best % ncc.shape[1]


def _messages(
    cost: Float[np.ndarray, "4 S S h w"], settings: JointConfig
) -> Float[np.ndarray, "4 S S h w"]:
    """Return, for each shift of the receiver, the least cost of the sender's and their difference.

    The square of a difference is the sum of the squares along both axes, so that each axis is
    searched by itself; the mean is subtracted, since a cost common to all shifts has no effect.
    """
    message = cost - cost.min(axis=(1, 2), keepdims=True)
    for axis in (1, 2):
        message = _nearest_along(axis, message, settings)
    np.minimum(message, settings.stiffness * settings.break_at**2, out=message)
    return message - message.mean(axis=(1, 2), keepdims=True)


def _nearest_along(
    axis: int, cost: Float[np.ndarray, "4 S S h w"], settings: JointConfig
) -> Float[np.ndarray, "4 S S h w"]:
    least, count = cost.copy(), cost.shape[axis]
    for away in range(1, min(settings.break_at, count - 1) + 1):
        low, high = (_part(axis, 0, count - away), _part(axis, away, count))
        dearer = cost + np.float32(settings.stiffness * away**2)
        np.minimum(least[low], dearer[high], out=least[low])
        np.minimum(least[high], dearer[low], out=least[high])
    return least


def _receive(
    heard: Float[np.ndarray, "S S h w"], said: Float[np.ndarray, "S S h w"], axis: int, step: int
) -> None:
    """Add each message at the neighbour that receives it; a line's first cell receives none."""
    count = said.shape[axis]
    start, stop = max(-step, 0), count + min(-step, 0)
    heard[_part(axis, start + step, stop + step)] += said[_part(axis, start, stop)]


def _part(axis: int, start: int, stop: int) -> tuple[slice, ...]:
    """Return the index of a part of an array along an axis."""
    return (*[slice(None)] * axis, slice(start, stop))
