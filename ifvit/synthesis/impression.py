"""An impression: what a sensor records of a finger once, and the exact map back to the master.

Points are (x, y) in pixels at 500 ppi of a frame of any shape; the frame's centre is where the
finger was aimed. Every function of a point is analytic, so that the map from an impression to its
master, and through it the correspondence of two impressions, is exact at any point, not at pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ifvit.synthesis.master import MASTER_SHAPE

SENSORS = ("optical", "capacitive", "thermal")

INVERSE_STEPS = 12
"""Fixed-point steps of :func:`from_master`: each cuts the error to a third or less."""


SWEEP_PX = 130.0
"""Wavelength at which the speed of a finger over a sweep sensor varies, px at 500 ppi."""

FURTHEST = (85.0, 115.0)
"""How far off its middle a finger is set down at most: as far as the master reaches, px."""


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
    """0 to 1: how much of the ridges breaks into dots."""
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
    """Pressure added where sweat gathers, most at its middle: from 1 on valleys fill there."""
    wet_centre: Float[Array, "*B 2"]
    wet_radius: Float[Array, "*B"]
    sweep_stretch: Float[Array, "*B"]
    """Share by which a sweep sensor sees the finger longer (< 0) or shorter along y."""
    sweep_wave: Float[Array, "*B"]
    """Amplitude of the sweep's unevenness along y, px; its wavelength is :data:`SWEEP_PX`."""
    sweep_phase: Float[Array, "*B"]


def draw_impression(
    key: PRNGKeyArray, impression: Int[Array, ""] | int, max_rotation: float = 20.0
) -> ImpressionParams:
    """Draw impression number ``impression`` (≥ 0) of the finger with this key.

    ``max_rotation``: the finger is turned by up to ± this many degrees.
    """
    key = jax.random.fold_in(jax.random.fold_in(key, 1), impression)
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
        **_wet_spot(wet),
        **_sweep(sweep, sensor == SENSORS.index("thermal")),
    )


def _placement(key: PRNGKeyArray) -> Float[Array, "2"]:
    """Draw where the finger is set down: near its middle, or, one in five, by a side or an end."""
    near = jnp.clip(jax.random.normal(key, (2,)), -2, 2) * jnp.array([18.0, 32.0])
    far_key, side_key, which_key = jax.random.split(jax.random.fold_in(key, 1), 3)
    far = jax.random.uniform(far_key, (2,), minval=30.0, maxval=jnp.array([80.0, 100.0]))
    side = jax.random.rademacher(side_key, (2,), jnp.float32)
    offset = near + jax.random.bernoulli(which_key, 0.2, (2,)) * side * far
    furthest = jnp.array(FURTHEST)
    return jnp.clip(offset, -furthest, furthest)


def _wet_spot(key: PRNGKeyArray) -> dict[str, Array]:
    """Draw where sweat has filled the valleys: nowhere on seven prints of ten."""
    k = jax.random.split(key, 4)
    strength = jax.random.uniform(k[0], minval=0.6, maxval=2.0)
    return {
        "wet": jax.random.bernoulli(k[1], 0.3) * strength,
        "wet_centre": 35.0 * jnp.clip(jax.random.normal(k[2], (2,)), -2, 2),
        "wet_radius": jax.random.uniform(k[3], minval=25.0, maxval=70.0),
    }


def _sweep(key: PRNGKeyArray, sweeps: Bool[Array, ""]) -> dict[str, Array]:
    """Draw how a sweep sensor misjudges the finger's speed: not at all where it is none."""
    k = jax.random.split(key, 3)
    normal = jnp.clip(jax.random.normal(k[0], (2,)), -2, 2)
    return {
        "sweep_stretch": sweeps * 0.08 * normal[0],
        "sweep_wave": sweeps * 1.5 * normal[1],
        "sweep_phase": jax.random.uniform(k[2], maxval=2 * jnp.pi),
    }


def _upright(
    params: ImpressionParams, points: Float[Array, "*P 2"], shape: tuple[int, int]
) -> Float[Array, "*P 2"]:
    """Return frame points from the frame's centre, as they were before the print was turned."""
    return _rotate(points - _centre(shape), params.turn)


def _centre(shape: tuple[int, int]) -> Float[Array, "2"]:
    return jnp.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])


def _rotate(points: Float[Array, "*P 2"], angle: Float[Array, ""]) -> Float[Array, "*P 2"]:
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    x, y = points[..., 0], points[..., 1]
    return jnp.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def _displacement(params: ImpressionParams, q: Float[Array, "*P 2"]) -> Float[Array, "*P 2"]:
    """Return how the skin and the sensor displace frame points ``q``, from the frame's centre."""
    apart = q[..., None, :] - params.bump_centre
    weight = jnp.exp(-0.5 * jnp.square(apart).sum(-1) / jnp.square(params.bump_radius))
    stretch = jnp.stack(
        [q[..., 0] * params.strain[i, 0] + q[..., 1] * params.strain[i, 1] for i in (0, 1)], axis=-1
    )
    bumps = [(weight * params.bump_shift[:, i]).sum(-1) for i in (0, 1)]
    wave = jnp.sin(2 * jnp.pi * q[..., 1] / SWEEP_PX + params.sweep_phase)
    swept = params.sweep_stretch * q[..., 1] + params.sweep_wave * wave
    return stretch + jnp.stack(bumps, axis=-1) + jnp.stack([jnp.zeros_like(swept), swept], axis=-1)


def wetness(
    params: ImpressionParams, points: Float[Array, "*P 2"], shape: tuple[int, int]
) -> Float[Array, "*P"]:
    """Return the pressure that sweat adds at points of the frame, in units of relief."""
    q = _upright(params, points, shape) - params.wet_centre
    return params.wet * jnp.exp(-0.5 * jnp.square(q).sum(-1) / jnp.square(params.wet_radius))


def to_master(
    params: ImpressionParams, points: Float[Array, "*P 2"], shape: tuple[int, int]
) -> Float[Array, "*P 2"]:
    """Map points of a frame of ``shape`` (H, W) to the master, exactly. (x, y), px at 500 ppi."""
    q = _upright(params, points, shape)
    turned = _rotate(q + _displacement(params, q), params.rotation)
    centre = _centre(MASTER_SHAPE)
    return turned + params.offset + centre


def from_master(
    params: ImpressionParams, points: Float[Array, "*P 2"], shape: tuple[int, int]
) -> Float[Array, "*P 2"]:
    """Invert :func:`to_master` by fixed-point iteration, to far below a hundredth of a pixel."""
    centre = _centre(MASTER_SHAPE)
    target = _rotate(points - params.offset - centre, -params.rotation)

    def step(_: Array | int, q: Array) -> Array:
        return target - _displacement(params, q)

    q = jax.lax.fori_loop(0, INVERSE_STEPS, step, target)
    return _rotate(q, -params.turn) + _centre(shape)


def contact_depth(
    params: ImpressionParams, points: Float[Array, "*P 2"], shape: tuple[int, int]
) -> Float[Array, "*P"]:
    """Return how deep points lie in the contact region: 1 at its centre, 0 on its ragged border."""
    q = _upright(params, points, shape) - params.contact_centre
    ratio = q / params.contact_radii
    # A superellipse: pads are blunter than ellipses.
    radius = jnp.power(jnp.power(jnp.abs(ratio) + 1e-6, 2.4).sum(-1), 1 / 2.4)
    angle = jnp.arctan2(q[..., 1], q[..., 0] + 1e-6)
    order = jnp.arange(2, params.border_phase.shape[-1] + 2)
    ragged = jnp.cos(angle[..., None] * order + params.border_phase) @ params.border_amplitude
    return 1 - radius * (1 + ragged)


def window_depth(
    params: ImpressionParams, points: Float[Array, "*P 2"], shape: tuple[int, int]
) -> Float[Array, "*P"]:
    """Return how far inside the sensor's rectangle points lie, pixels; negative beyond its edge."""
    q = _upright(params, points, shape) - params.window_centre
    return (params.window_half - jnp.abs(q)).min(-1)


def in_contact(
    params: ImpressionParams, points: Float[Array, "*P 2"], shape: tuple[int, int]
) -> Bool[Array, "*P"]:
    """Tell where the finger touches, the sensor sees it and the master covers it."""
    master = to_master(params, points, shape)
    height, width = MASTER_SHAPE
    covered = (master >= 2).all(-1) & (master[..., 0] <= width - 3) & (master[..., 1] <= height - 3)
    seen = window_depth(params, points, shape) > 0
    return covered & seen & (contact_depth(params, points, shape) > 0.02)


def correspondence(
    params0: ImpressionParams,
    params1: ImpressionParams,
    points0: Float[Array, "*P 2"],
    shape: tuple[int, int],
    shift: Float[Array, "2"] | float = 0.0,
) -> tuple[Float[Array, "*P 2"], Bool[Array, "*P"]]:
    """Map points of impression 0 to impression 1 of the same finger, exactly (map 0→1).

    Returns the points in frame 1 and their validity: inside both contact regions and both frames.
    With the distance of two fingers' cores as ``shift`` (x, y) it lays one finger on the other,
    core on core.
    """
    points1 = from_master(params1, to_master(params0, points0, shape) + shift, shape)
    limit = jnp.array([shape[1] - 1, shape[0] - 1])
    framed = ((points1 >= 0) & (points1 <= limit)).all(-1)
    valid = in_contact(params0, points0, shape) & in_contact(params1, points1, shape)
    return points1, valid & framed
