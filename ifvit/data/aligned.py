"""Aligned pairs for Module 2: two frames, how one lies on the other, and who they are of.

Module 2 sees what alignment leaves: elastic distortion, and the alignment's own error, which is
drawn here so that the network meets it in training.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ifvit.config import ModelConfig
from ifvit.data.pairs import cell_centres, frame_side
from ifvit.data.synthetic import SyntheticPairs, draw_pairs, render_frames, take
from ifvit.synthesis import ImpressionParams, Master, correspondence

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


Refine = Callable[[Array, Array, Array], np.ndarray]
"""Frames 0, frames 1 and rough alignments (B,2,3) to better alignments."""


class AlignmentError(NamedTuple):
    """Standard deviations of the error to train for: pixels at 500 ppi, and degrees."""

    shift_px: float
    rotation: float


def fit_similarity(
    points0: Float[Array, "N 2"], points1: Float[Array, "N 2"], valid: Bool[Array, " N"]
) -> Float[Array, "2 3"]:
    """Return the least-squares similarity from points 0 to points 1; the identity for under three.

    Closed form in the complex plane (Umeyama, IEEE TPAMI 13(4), 1991, in two dimensions).
    """
    weight = valid / jnp.maximum(valid.sum(), 1)
    mean0, mean1 = (weight[:, None] * points0).sum(0), (weight[:, None] * points1).sum(0)
    x0, y0 = (points0 - mean0).T
    x1, y1 = (points1 - mean1).T
    power = jnp.maximum((weight * (x0**2 + y0**2)).sum(), 1e-6)
    cos = (weight * (x0 * x1 + y0 * y1)).sum() / power
    sin = (weight * (x0 * y1 - y0 * x1)).sum() / power
    linear = jnp.array([[cos, -sin], [sin, cos]])
    fitted = jnp.concatenate([linear, (mean1 - linear @ mean0)[:, None]], axis=1)
    return jnp.where(valid.sum() >= 3, fitted, jnp.eye(2, 3))


def disturb(
    key: PRNGKeyArray, H: Float[Array, "2 3"], spread: Array, error: AlignmentError, side: int
) -> Float[Array, "2 3"]:
    """Return the transform with a random error in front: a turn about the middle and a shift."""
    normal = jnp.clip(jax.random.normal(key, (3,)), -2, 2) * spread
    angle = jnp.deg2rad(error.rotation) * normal[0]
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    linear = jnp.array([[cos, -sin], [sin, cos]])
    middle = jnp.full(2, (side - 1) / 2)
    offset = middle - linear @ middle + error.shift_px * normal[1:]
    return compose(H, jnp.concatenate([linear, offset[:, None]], axis=1))


def compose(H: Float[Array, "2 3"], first: Float[Array, "2 3"]) -> Float[Array, "2 3"]:
    """Return the transform that applies ``first`` and then ``H``."""
    return jnp.concatenate([H[:, :2] @ first[:, :2], transform(H, first[:, 2])[:, None]], axis=1)


def transform(H: Float[Array, "2 3"], points: Float[Array, "*N 2"]) -> Float[Array, "*N 2"]:
    """Move points (x, y) by a 2×3 matrix."""
    return points @ H[:, :2].T + H[:, 2]


def inverse(H: Float[Array, "2 3"]) -> Float[Array, "2 3"]:
    """Return the inverse of a 2×3 similarity."""
    (a, b), (c, d) = H[0, :2], H[1, :2]
    linear = jnp.array([[d, -b], [-c, a]]) / (a * d - b * c)
    return jnp.concatenate([linear, -(linear @ H[:, 2])[:, None]], axis=1)


@partial(jax.jit, static_argnames=("seed", "model", "max_rotation", "error", "hard", "zoom"))
def rough_pairs(
    master0: Master,
    master1: Master,
    finger: Int[Array, "B 2"],
    impression: Int[Array, "B 2"],
    key: PRNGKeyArray,
    *,
    seed: int,
    model: ModelConfig,
    max_rotation: float,
    error: AlignmentError,
    hard: float = 0.0,
    zoom: tuple[float, float] = (1.0, 1.0),
) -> tuple[Float[Array, "B S S"], Float[Array, "B S S"], Float[Array, "B 2 3"]]:
    """Render pairs, and align them by their skin or by their cores, plus ``error``.

    Impostor pairs are laid core on core and upright, as an alignment by orientation would have
    them: what is left to tell them apart is the ridges. Returns frame0, frame1 and H_0to1.
    """
    side, centres = frame_side(model), cell_centres(model)
    params = draw_pairs(seed, finger, impression, max_rotation, hard=hard, zoom=zoom)
    genuine = finger[:, 0] == finger[:, 1]

    def place(p0: ImpressionParams, p1: ImpressionParams, shift: Array, key: Array, same: Array):
        points1, valid = correspondence(p0, p1, centres, (side, side), shift)
        spread = jnp.where(same, 1.0, IMPOSTOR_SPREAD)
        return disturb(key, fit_similarity(centres, points1, valid), spread, error, side)

    keys = jax.random.split(key, len(finger))
    H = jax.vmap(place)(*params, master1.core - master0.core, keys, genuine)
    frame0 = render_frames(master0, params[0], model)
    return frame0, render_frames(master1, params[1], model), H


@partial(jax.jit, static_argnames=("seed", "model", "max_rotation", "hard", "zoom"))
def aligned_truth(
    finger: Int[Array, "B 2"],
    impression: Int[Array, "B 2"],
    H_0to1: Float[Array, "B 2 3"],
    *,
    seed: int,
    model: ModelConfig,
    max_rotation: float,
    hard: float = 0.0,
    zoom: tuple[float, float] = (1.0, 1.0),
) -> tuple[Float[Array, "B N 2"], Float[Array, "B N 2"], Bool[Array, "B N"]]:
    """Return points1, points0 and valid of :class:`AlignedBatch` under the given alignment."""
    side, centres = frame_side(model), cell_centres(model)
    params = draw_pairs(seed, finger, impression, max_rotation, hard=hard, zoom=zoom)

    def one(p0: ImpressionParams, p1: ImpressionParams, H: Array, same: Array):
        points1, valid = correspondence(p0, p1, centres, (side, side))
        points0, _ = correspondence(p1, p0, transform(H, centres), (side, side))
        return transform(inverse(H), points1), points0, valid & same

    return jax.vmap(one)(*params, H_0to1, finger[:, 0] == finger[:, 1])


class SyntheticAligned(SyntheticPairs):
    """Module 2's source: aligned pairs of synthetic fingers; labels are rows of ``fingers``."""

    refine: Refine | None = None
    """Module 1's alignment, which then replaces the rough one: training sees its true errors."""

    def aligned(
        self, index: int, size: int, error: AlignmentError, template_ratio: float
    ) -> AlignedBatch:
        """Return batch ``index``; a share of its rows shows one print twice, for its template."""
        rows, impressions, genuine = self.draw(index, size)
        alone = template_rows(np.random.default_rng([self.seed, index, 1]), size, template_ratio)
        first = np.flatnonzero(alone)[::2]
        rows[first, 1] = rows[first, 0]
        rows[first + 1], impressions[first + 1] = rows[first], impressions[first, ::-1]
        genuine = genuine | alone
        finger, impression = jnp.asarray(self.fingers[rows]), jnp.asarray(impressions)
        how: dict[str, Any] = {"seed": self.seed, "model": self.model}
        how |= {"max_rotation": self.max_rotation, "hard": self.hard, "zoom": self.zoom}
        frame0, frame1, H = rough_pairs(
            take(self.masters, rows[:, 0]),
            take(self.masters, rows[:, 1]),
            finger,
            impression,
            jax.random.fold_in(jax.random.key(self.seed), index),
            error=error,
            **how,
        )
        if self.refine is not None:
            H = jnp.asarray(self.refine(frame0, frame1, H))
        points1, points0, valid = aligned_truth(finger, impression, H, **how)
        batch = AlignedBatch(
            frame0=frame0,
            frame1=frame1,
            H_0to1=H,
            points1=points1,
            points0=points0,
            valid=valid,
            label0=jnp.asarray(rows[:, 0]),
            label1=jnp.asarray(rows[:, 1]),
            genuine=jnp.asarray(genuine),
            alone=jnp.zeros(size, bool),
        )
        return stand_alone(batch, jnp.asarray(alone), self.model)


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
