"""A finger: the master pattern that all its impressions show.

A master is a pure function of (seed, finger). It covers a whole finger pad, 24.4 × 19.5 mm.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Int8, PRNGKeyArray

from ifvit.config import REFERENCE_PPI
from ifvit.jax_settings import usual_promotion
from ifvit.synthesis.orientation import Flow, draw_flow, orientation_field, period_field
from ifvit.synthesis.ridges import grow

MASTER_SHAPE = (480, 384)
"""Height and width of a master in pixels at 500 ppi."""

GROWTH_PPI = 250
"""Ridges grow at half the resolution: nine pixels of period at 500 ppi are smooth enough to be
interpolated, and a growth step costs a fourteenth."""


PERIOD_GRAIN = 0.12
PERIOD_GRAIN_PX = 20
"""Size of the grains in which the ridge period varies at random, px at 500 ppi: one millimetre. A
ridge begins where ridges diverge, and one ends where they converge. Masters then have the minutiae
that fingers have, about 0.25 to the square millimetre (``docs/results/synthesis.md``)."""


class Master(NamedTuple):
    """One finger, or a batch of them with a leading axis. Pixels at 500 ppi."""

    ridges: Int8[Array, "*B H W"]
    """Skin relief: 127 on a ridge's crest, -127 in a valley; flexion creases are valleys."""
    pores: Int8[Array, "*B H W"]
    """127 where a sweat pore opens, 0 elsewhere."""
    core: Float[Array, "*B 2"]
    """The upper loop's (x, y), or the middle of the pad for a plain arch."""
    pattern: Int[Array, "*B"]
    """Index into :data:`ifvit.synthesis.orientation.CLASSES`."""


def finger_key(seed: int, finger: Int[Array, ""] | int) -> PRNGKeyArray:
    """Return the random key of a finger, from which its master and its impressions descend."""
    return jax.random.fold_in(jax.random.key(seed), finger)


def make_master(key: PRNGKeyArray) -> Master:
    """Grow the master of the finger with this key (:func:`finger_key`)."""
    flow_key, seed_key, pore_key, crease_key = _keys(key)
    flow = draw_flow(flow_key)
    relief = _grown(flow, seed_key)
    relief = relief - 2.0 * _creases(crease_key)
    pores = _pores(pore_key) * (relief > 0.2)
    centre = (jnp.array(MASTER_SHAPE[::-1]) - 1) / 2
    core = centre + jnp.where(flow.pattern == 0, 0.0, flow.loops[0] * REFERENCE_PPI / 25.4)
    return Master(_int8(relief), _int8(pores), core, flow.pattern)


def grown_relief(key: PRNGKeyArray) -> Float[Array, "H W"]:
    """Return a finger's ridges as they have grown, in [-1, 1], before creases and pores.

    The relief is at 500 ppi. The finger's minutiae are where its ridges end and fork.
    """
    flow_key, seed_key, *_ = _keys(key)
    return _grown(draw_flow(flow_key), seed_key)


def _keys(key: PRNGKeyArray) -> Array:
    """Return the keys of flow, seeds, pores and creases."""
    return jax.random.split(jax.random.fold_in(key, 0), 4)


def _grown(flow: Flow, seed_key: PRNGKeyArray) -> Float[Array, "H W"]:
    height, width = (side * GROWTH_PPI // REFERENCE_PPI for side in MASTER_SHAPE)
    mm = 25.4 / GROWTH_PPI
    y, x = jnp.meshgrid(
        (jnp.arange(height) - (height - 1) / 2) * mm,
        (jnp.arange(width) - (width - 1) / 2) * mm,
        indexing="ij",
    )
    seeds = 0.5 * jax.random.normal(seed_key, (height, width))
    period = period_field(flow, x, y) * _period_grain(jax.random.fold_in(seed_key, 1), x.shape)
    relief = grow(seeds, orientation_field(flow, x, y), period / mm)
    return jnp.clip(jax.image.resize(relief, MASTER_SHAPE, "cubic"), -1, 1)


def _period_grain(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "H W"]:
    """Return the factor of the ridge period at each pixel of growth."""
    grains = tuple(side * REFERENCE_PPI // (GROWTH_PPI * PERIOD_GRAIN_PX) for side in shape)
    noise = jnp.clip(jax.random.normal(key, grains), -2, 2)
    return jnp.exp(PERIOD_GRAIN * jax.image.resize(noise, shape, "cubic"))


@partial(jax.jit, static_argnames="seed")
def _make_masters(seed: int, fingers: Int[Array, " B"]) -> Master:
    return jax.vmap(lambda finger: make_master(finger_key(seed, finger)))(fingers)


@usual_promotion()
def make_masters(seed: int, fingers: Int[Array, " B"]) -> Master:
    """Grow the masters of several fingers (numbers ≥ 0) in one compiled call."""
    return _make_masters(seed, jnp.asarray(fingers))


def _int8(values: Float[Array, "H W"]) -> Int8[Array, "H W"]:
    return jnp.round(jnp.clip(values, -1, 1) * 127).astype(jnp.int8)


def _pores(key: PRNGKeyArray) -> Float[Array, "H W"]:
    """Return soft spots, one in most cells of a jittered lattice, whose rows are 9 px apart."""
    pitch = 9
    height, width = MASTER_SHAPE
    rows, columns = height // pitch, width // pitch
    jitter, present, size = jax.random.split(key, 3)
    base = jnp.stack(jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing="ij"), -1)
    place = ((base + jax.random.uniform(jitter, base.shape)) * pitch).astype(int).reshape(-1, 2)
    strength = jax.random.bernoulli(present, 0.75, (rows * columns,)) * jax.random.uniform(
        size, (rows * columns,), minval=0.4, maxval=1.0
    )
    spots = jnp.zeros(MASTER_SHAPE).at[place[:, 0], place[:, 1]].max(strength)
    ring = jnp.exp(-0.5 * (jnp.arange(-2, 3) / 1.1) ** 2)
    for axis in (0, 1):
        spots = jax.vmap(
            lambda line: jnp.convolve(line, ring, mode="same"), in_axes=1 - axis, out_axes=1 - axis
        )(spots)
    return jnp.clip(spots, 0, 1)


def _creases(key: PRNGKeyArray) -> Float[Array, "H W"]:
    """Return up to seven white creases across the pad: bent, tapering, 1 to 6 px wide."""
    count = 7
    height, width = MASTER_SHAPE
    u = jax.random.uniform(key, (count, 7), minval=-1.0, maxval=1.0)
    y, x = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")

    def crease(v: Float[Array, 7]) -> Float[Array, "H W"]:
        angle = 0.7 * v[0] + 1.2 * v[0] ** 5  # mostly across the finger, now and then along it
        dx = x - width * (0.5 + 0.35 * v[1])
        dy = y - height * (0.5 + 0.45 * v[2])
        along = dx * jnp.cos(angle) + dy * jnp.sin(angle)
        bend = 6.0 * jnp.sin(along / 35.0 + 3 * v[3])
        across = dy * jnp.cos(angle) - dx * jnp.sin(angle) - bend
        half_length, half_width = 50 + 35 * v[4], 1.5 + 1.0 * v[5]
        taper = jnp.clip(1 - jnp.square(along / half_length), 0, 1)
        return (v[6] > 0.3) * taper * jnp.exp(-0.5 * jnp.square(across / half_width))

    return jnp.clip(jax.vmap(crease)(u).sum(0), 0, 1)
