"""The parameters of an impression: where and how a finger is set down, drawn from its key.

Points are (x, y) in pixels at 500 ppi from a frame's centre, where the finger was aimed. The
geometry that follows from the parameters is in :mod:`ifvit.synthesis.impression`.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ifvit.jax_settings import usual_promotion
from ifvit.synthesis.conditions import Conditions, draw_conditions
from ifvit.synthesis.skin import Force, calm, draw_force

SENSORS = ("optical", "capacitive", "thermal")

SWEEP_PX = 130.0
"""Wavelength at which the speed of a finger over a sweep sensor varies, px at 500 ppi."""

FURTHEST = (85.0, 115.0)
"""Largest distance from its middle at which a finger is set down, as far as the master reaches,
px."""


class ImpressionParams(NamedTuple):
    """One impression's geometry and looks. Pixels at 500 ppi, radians."""

    offset: Float[Array, "*B 2"]
    """Master point under the frame's centre, from the master's centre."""
    rotation: Float[Array, "*B"]
    strain: Float[Array, "*B 2 2"]
    """Uniform stretch and shear of the skin."""
    bump_centre: Float[Array, "*B bumps 2"]
    bump_shift: Float[Array, "*B bumps 2"]
    bump_radius: Float[Array, "*B bumps"]
    contact_centre: Float[Array, "*B 2"]
    contact_radii: Float[Array, "*B 2"]
    border_amplitude: Float[Array, "*B waves"]
    border_phase: Float[Array, "*B waves"]
    sensor: Int[Array, "*B"]
    pressure: Float[Array, "*B"]
    """Added to the relief before contact is decided: ridges swell (> 0) or thin (< 0)."""
    dryness: Float[Array, "*B"]
    """Share of the ridges that breaks into dots, 0 to 1."""
    noise_key: PRNGKeyArray
    """Source of grain, stains, scratches and sensor noise."""
    turn: Float[Array, "*B"]
    """The whole print turned in its frame, contact region included."""
    window_centre: Float[Array, "*B 2"]
    window_half: Float[Array, "*B 2"]
    """The sensor's rectangle, centre and half sides, upright: nothing is recorded beyond it."""
    unevenness: Float[Array, "*B"]
    """How much pressure and moisture vary over the print."""
    wet: Float[Array, "*B"]
    """Pressure added where sweat gathers, most at its middle; from 1 on it fills the valleys."""
    wet_centre: Float[Array, "*B 2"]
    wet_radius: Float[Array, "*B"]
    sweep_stretch: Float[Array, "*B"]
    """Share by which a sweep sensor sees the finger longer (< 0) or shorter along y."""
    sweep_wave: Float[Array, "*B"]
    """Amplitude of the sweep's unevenness along y, px; its wavelength is :data:`SWEEP_PX`."""
    sweep_phase: Float[Array, "*B"]
    zoom: Float[Array, "*B"]
    """Pixels of the frame per pixel of the master: below 1 the finger and its ridges are finer."""
    force: Force | None = None
    """How the finger was pulled, twisted and pressed; None where no hard prints are drawn."""
    conditions: Conditions | None = None
    """Further conditions of a hard print; None where no hard prints are drawn."""


@usual_promotion()
@partial(jax.jit, static_argnames=("max_rotation", "hard"))
def draw_impression(
    key: PRNGKeyArray,
    impression: Int[Array, ""] | int,
    max_rotation: float = 20.0,
    hard: float = 0.0,
) -> ImpressionParams:
    """Draw impression number ``impression`` (≥ 0) of the finger with this key.

    The finger is turned by up to ± ``max_rotation`` degrees. ``hard`` is the share of impressions,
    0 to 1, that are drawn hard; it does not change the others.
    """
    finger, key = key, jax.random.fold_in(jax.random.fold_in(key, 1), impression)
    params = _mild(key, max_rotation)
    return _harder(params, finger, jax.random.fold_in(key, 17), hard) if hard else params


def _mild(key: PRNGKeyArray, max_rotation: float) -> ImpressionParams:
    """Draw an impression that is neither under force nor in a hard condition."""
    k = jax.random.split(key, 15)
    bumps, waves = 5, 10
    normal, uniform = jax.random.normal, jax.random.uniform
    # Wet, normal and dry skin: dry skin touches less and breaks, wet skin touches more.
    wetness = jnp.clip(normal(k[8]), -2, 2)
    sensor = jax.random.randint(jax.random.fold_in(k[11], 0), (), 0, len(SENSORS))
    wet, sweep = jax.random.fold_in(key, 15), jax.random.fold_in(key, 16)
    return ImpressionParams(
        offset=_placement(k[0]),
        rotation=jnp.deg2rad(uniform(k[1], minval=-max_rotation, maxval=max_rotation)),
        strain=0.02 * jnp.clip(normal(k[2], (2, 2)), -2, 2),
        bump_centre=120.0 * jnp.clip(normal(k[3], (bumps, 2)), -2, 2),
        bump_shift=4.5 * jnp.clip(normal(k[4], (bumps, 2)), -2, 2),
        bump_radius=uniform(k[5], (bumps,), minval=50.0, maxval=100.0),
        contact_centre=8.0 * jnp.clip(normal(k[6], (2,)), -2, 2),
        contact_radii=jnp.array([92.0, 120.0]) + jnp.array([58.0, 85.0]) * uniform(k[7], (2,)),
        border_amplitude=normal(k[9], (waves,)) * 0.02 / jnp.sqrt(jnp.arange(1, waves + 1)),
        border_phase=uniform(k[10], (waves,), maxval=2 * jnp.pi),
        sensor=sensor,
        pressure=0.28 * wetness,
        dryness=jnp.clip(0.30 - 0.22 * wetness, 0.05, 1.0),
        noise_key=jax.random.fold_in(k[11], 1),
        turn=jnp.zeros(()),
        window_centre=jnp.clip(normal(k[12], (2,)), -2, 2) * jnp.array([22.0, 25.0]),
        window_half=jnp.array([95.0, 120.0]) + jnp.array([120.0, 160.0]) * uniform(k[13], (2,)),
        unevenness=uniform(k[14], minval=0.10, maxval=0.45),
        zoom=jnp.ones(()),
        **_wet_spot(wet),  # type: ignore[arg-type]
        **_sweep(sweep, sensor == SENSORS.index("thermal")),  # type: ignore[arg-type]
    )


def _harder(
    params: ImpressionParams, finger: PRNGKeyArray, key: PRNGKeyArray, share: float
) -> ImpressionParams:
    """Put a share of impressions under force and into harder conditions; the others stay.

    ``finger`` is the finger's key: what is permanent, on it or on its sensor, descends from that.
    """
    k = jax.random.split(key, 3)
    hard = jax.random.uniform(k[0]) < share
    keep = calm(lipschitz(params), hard)
    # A pull shows skin from further away: less is left of the master there.
    furthest = jnp.where(hard, 0.6, 1.0) * jnp.array(FURTHEST)
    sweeps = params.sensor == SENSORS.index("thermal")
    return params._replace(
        offset=jnp.clip(params.offset, -furthest, furthest),
        strain=params.strain * keep,
        bump_shift=params.bump_shift * keep,
        sweep_stretch=params.sweep_stretch * keep,
        sweep_wave=params.sweep_wave * keep,
        force=draw_force(k[1], hard),
        conditions=draw_conditions(k[2], finger, hard, params.sensor, sweeps),
    )


def lipschitz(params: ImpressionParams) -> Float[Array, ""]:
    """Return a bound on the Jacobian of the displacement by strain, bumps and sweep."""
    # A Gaussian's steepest slope is exp(-1/2) over its radius.
    length = jnp.sqrt(jnp.square(params.bump_shift).sum(-1))
    bumps = (jnp.exp(-0.5) * length / params.bump_radius).sum(-1)
    wave = 2 * jnp.pi / SWEEP_PX * jnp.abs(params.sweep_wave)
    strain = jnp.sqrt(jnp.square(params.strain).sum((-2, -1)))
    return strain + bumps + jnp.abs(params.sweep_stretch) + wave


def _placement(key: PRNGKeyArray) -> Float[Array, "2"]:
    """Draw where the finger is placed: near its middle or, one in five, on a side or an end."""
    near = jnp.clip(jax.random.normal(key, (2,)), -2, 2) * jnp.array([18.0, 32.0])
    far_key, side_key, which_key = jax.random.split(jax.random.fold_in(key, 1), 3)
    far = jax.random.uniform(far_key, (2,), minval=30.0, maxval=jnp.array([80.0, 100.0]))
    side = jax.random.rademacher(side_key, (2,), jnp.float32)
    offset = near + jax.random.bernoulli(which_key, 0.2, (2,)) * side * far
    furthest = jnp.array(FURTHEST)
    return jnp.clip(offset, -furthest, furthest)


def _wet_spot(key: PRNGKeyArray) -> dict[str, Array]:
    """Draw where sweat has filled the valleys, on three of ten prints."""
    k = jax.random.split(key, 4)
    strength = jax.random.uniform(k[0], minval=0.6, maxval=2.0)
    return {
        "wet": jax.random.bernoulli(k[1], 0.3) * strength,
        "wet_centre": 35.0 * jnp.clip(jax.random.normal(k[2], (2,)), -2, 2),
        "wet_radius": jax.random.uniform(k[3], minval=25.0, maxval=70.0),
    }


def _sweep(key: PRNGKeyArray, sweeps: Bool[Array, ""]) -> dict[str, Array]:
    """Draw how a sweep sensor misjudges the finger's speed; other sensors make no such error."""
    k = jax.random.split(key, 3)
    normal = jnp.clip(jax.random.normal(k[0], (2,)), -2, 2)
    return {
        "sweep_stretch": sweeps * 0.08 * normal[0],
        "sweep_wave": sweeps * 1.5 * normal[1],
        "sweep_phase": jax.random.uniform(k[2], maxval=2 * jnp.pi),
    }
