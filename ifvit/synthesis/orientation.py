"""The flow of a finger's ridges: pattern class, orientation field and ridge period.

The orientation field is the zero-pole model of Sherlock and Monro ("A model for interpreting
fingerprint topology", Pattern Recognition 26(7), 1993): each loop turns the field by half a turn
around it, each delta by half a turn the other way. The plain model's loops are parabolas, too
pointed; as Vizcaya and Gerhardt do ("A nonlinear orientation model for global description of
fingerprints", Pattern Recognition 29(7), 1996) the turn around a loop is made faster over its arch,
here by a sine. An arching term and a smooth random perturbation are added. Lengths here are
millimetres from the centre of the pad, x right, y down.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

CLASSES = ("plain arch", "tented arch", "left loop", "right loop", "whorl", "double loop")

CLASS_FREQUENCY = (0.037, 0.029, 0.338, 0.317, 0.200, 0.079)
"""Natural frequencies of the five classes (Wilson, Candela and Watson, "Neural network fingerprint
classification", J. Artificial Neural Networks 1(2), 1994); their whorls, 27.9 %, are divided here
into whorls and double loops."""

FAR = 1e3
"""Place of a singularity that a class does not have: so far away that it bends no ridge."""


class Flow(NamedTuple):
    """What decides a finger's orientation field and period. Lengths in mm, angles in radians."""

    pattern: Int[Array, ""]
    loops: Float[Array, "2 2"]
    deltas: Float[Array, "2 2"]
    arch: Float[Array, ""]
    roundness: Float[Array, ""]
    wave_amplitude: Float[Array, " waves"]
    wave_vector: Float[Array, "waves 2"]
    wave_phase: Float[Array, " waves"]
    period: Float[Array, ""]
    period_amplitude: Float[Array, " waves"]
    joint: Float[Array, ""]
    """Where the ridges have turned half way to those along the joint's crease, y in mm."""


def draw_flow(key: PRNGKeyArray) -> Flow:
    """Draw a finger's pattern class, singularities, perturbation and mean ridge period."""
    keys = jax.random.split(key, 8)
    pattern = jax.random.choice(keys[0], len(CLASSES), p=jnp.asarray(CLASS_FREQUENCY))
    loops, deltas = _singularities(keys[1], pattern)
    waves = 6
    return Flow(
        pattern=pattern,
        loops=loops,
        deltas=deltas,
        arch=_arch_strength(keys[2], pattern),
        roundness=jax.random.uniform(keys[7], minval=0.65, maxval=0.95),
        wave_amplitude=jax.random.normal(keys[3], (waves,)) * 0.06,
        wave_vector=jax.random.normal(keys[4], (waves, 2)) * 0.28,
        wave_phase=jax.random.uniform(keys[5], (waves,), maxval=2 * jnp.pi),
        # Mean 9 px at 500 ppi is 0.457 mm; adults' means lie within about ± 13 % of it.
        period=0.457 * jnp.exp(0.08 * jnp.clip(jax.random.normal(keys[6]), -1.7, 1.7)),
        period_amplitude=jax.random.normal(jax.random.fold_in(keys[6], 1), (waves,)) * 0.02,
        joint=jax.random.uniform(jax.random.fold_in(keys[6], 2), minval=8.5, maxval=15.0),
    )


def _arch_strength(key: PRNGKeyArray, pattern: Int[Array, ""]) -> Float[Array, ""]:
    """Return the slope of the arching term: a plain arch is made by it, other tips are rounded."""
    low, high = jnp.where(pattern == 0, 0.45, 0.15), jnp.where(pattern == 0, 1.1, 0.45)
    return jax.random.uniform(key, minval=low, maxval=high)


def _singularities(
    key: PRNGKeyArray, pattern: Int[Array, ""]
) -> tuple[Float[Array, "2 2"], Float[Array, "2 2"]]:
    """Return the class's loops and deltas, in pairs of (x, y) in mm; absent ones are at ``FAR``."""
    u = jax.random.uniform(key, (10,), minval=-1.0, maxval=1.0)
    core = jnp.stack([1.2 * u[0], -0.5 + 1.5 * u[1]])
    nowhere = jnp.array([0.0, FAR])
    # A left loop opens to the lower left and has its delta at the lower right.
    side = jnp.where(pattern == 2, 1.0, -1.0)
    loop_delta = core + jnp.stack([side * (4.6 + 1.6 * u[2]), 6.2 + 1.8 * u[3]])
    tented_delta = core + jnp.stack([0.4 * u[2], 4.2 + 1.4 * u[3]])
    # A whorl's two loops lie one above the other, a double loop's obliquely.
    apart = 1.3 + 0.9 * u[4]
    tilt = jnp.where(pattern == 5, jnp.sign(u[5]) * (0.6 + 0.25 * u[6]), 0.35 * u[5])
    apart = jnp.where(pattern == 5, 2.0 + 0.6 * u[4], apart)
    second = core + 2 * apart * jnp.stack([jnp.sin(tilt), jnp.cos(tilt)])
    centre = (core + second) / 2
    left = centre + jnp.stack([-5.6 - 1.2 * u[7], 5.4 + 1.6 * u[8]])
    right = centre + jnp.stack([5.6 + 1.2 * u[9], 5.4 + 1.6 * u[2]])
    two = pattern >= 4
    first_delta = jnp.where(pattern == 1, tented_delta, jnp.where(two, left, loop_delta))
    has_any = pattern >= 1
    loops = jnp.stack([jnp.where(has_any, core, nowhere), jnp.where(two, second, nowhere)])
    deltas = jnp.stack([jnp.where(has_any, first_delta, nowhere), jnp.where(two, right, nowhere)])
    return loops, deltas


def orientation_field(
    flow: Flow, x: Float[Array, "H W"], y: Float[Array, "H W"]
) -> Float[Array, "H W"]:
    """Return the direction along the ridges at points (x, y) in mm.

    The direction is in radians modulo π, in image coordinates: the ridge runs along
    (cos θ, sin θ), y down.
    """

    def turn(point: Float[Array, 2], axis: float, roundness: Array | float) -> Array:
        # y is negated: the model is written for y up. `axis` is where a loop's arch points.
        around = jnp.arctan2(-(y - point[1]), x - point[0])
        return around + roundness * jnp.sin(around - axis)

    up = jnp.pi / 2
    theta = turn(flow.loops[0], up, flow.roundness) + turn(flow.loops[1], -up, flow.roundness)
    theta = 0.5 * (theta - turn(flow.deltas[0], up, 0.0) - turn(flow.deltas[1], up, 0.0))
    # Rising on the left, falling on the right, strongest in the middle of the pad, flat at the
    # crease below it. A plain arch is this term alone.
    slope = -flow.arch * jnp.sin(jnp.clip(x / 9.0, -1, 1) * jnp.pi / 1.35)
    slope *= jnp.exp(-jnp.square((y + 1.0) / 7.5))
    theta = _level(theta + jnp.arctan(slope), jax.nn.sigmoid((y - flow.joint) / 1.2))
    return -(theta + _waves(flow, flow.wave_amplitude, x, y))


def _level(theta: Float[Array, "H W"], share: Float[Array, "H W"]) -> Float[Array, "H W"]:
    """Turn an orientation towards the horizontal: the mean of both, as vectors of twice the angle.

    Above the joint's crease the ridges of every class run along it.
    """
    double_cos = (1 - share) * jnp.cos(2 * theta) + share
    return 0.5 * jnp.arctan2((1 - share) * jnp.sin(2 * theta), double_cos)


def period_field(flow: Flow, x: Float[Array, "H W"], y: Float[Array, "H W"]) -> Float[Array, "H W"]:
    """Return the ridge period in mm at points (x, y) in mm: wider towards the joint, waving."""
    towards_joint = 0.10 * jax.nn.sigmoid((y - 6.0) / 2.0)
    return flow.period * (1 + towards_joint + _waves(flow, flow.period_amplitude, x, y))


def _waves(
    flow: Flow, amplitude: Float[Array, " waves"], x: Float[Array, "H W"], y: Float[Array, "H W"]
) -> Float[Array, "H W"]:
    """Return a smooth random field: a few long cosines."""
    phase = (
        x[..., None] * flow.wave_vector[:, 0] + y[..., None] * flow.wave_vector[:, 1]
    ) + flow.wave_phase
    return jnp.cos(phase) @ amplitude
