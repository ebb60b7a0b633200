"""An impression's geometry: the exact map to the master and back, and what the sensor sees.

Points are (x, y) in pixels at 500 ppi of a frame of any shape; the frame's centre is where the
finger was aimed. Every function of a point is analytic, so that the map from an impression to its
master, and through it the correspondence of two impressions, is exact at any point, not at pixels.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ifvit.geometry.field import INVERSE_STEPS
from ifvit.jax_settings import usual_promotion
from ifvit.synthesis.conditions import strip_shift
from ifvit.synthesis.draw import SWEEP_PX, ImpressionParams
from ifvit.synthesis.master import MASTER_SHAPE
from ifvit.synthesis.skin import forced, released


def on_sensor(
    params: ImpressionParams, points: Float[Array, "*P 2"], shape: tuple[int, int]
) -> Float[Array, "*P 2"]:
    """Return frame points from the frame's centre, as they were before the print was turned."""
    return _rotate(points - _centre(shape), params.turn)


def upright(
    params: ImpressionParams, points: Float[Array, "*P 2"], shape: tuple[int, int]
) -> Float[Array, "*P 2"]:
    """Return frame points from its centre, upright and in the finger's own pixels (``zoom``)."""
    return on_sensor(params, points, shape) / params.zoom


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
    q = upright(params, points, shape) - params.wet_centre
    return params.wet * jnp.exp(-0.5 * jnp.square(q).sum(-1) / jnp.square(params.wet_radius))


@usual_promotion()
@partial(jax.jit, static_argnames="shape")
def to_master(
    params: ImpressionParams, points: Float[Array, "*P 2"], shape: tuple[int, int]
) -> Float[Array, "*P 2"]:
    """Map points (x, y) of a frame of ``shape`` (H, W) to the master, exactly; px at 500 ppi."""
    q = on_sensor(params, points, shape)
    if params.conditions is not None:
        q = q + strip_shift(params.conditions, q)
    q = q / params.zoom
    if params.force is not None:
        q = forced(params.force, q)
    turned = _rotate(q + _displacement(params, q), params.rotation)
    centre = _centre(MASTER_SHAPE)
    return turned + params.offset + centre


@usual_promotion()
@partial(jax.jit, static_argnames="shape")
def from_master(
    params: ImpressionParams, points: Float[Array, "*P 2"], shape: tuple[int, int]
) -> Float[Array, "*P 2"]:
    """Invert :func:`to_master`, to far below a hundredth of a pixel.

    Fixed-point iteration inverts the gentle displacement, and Newton's method the force; strips are
    inverted exactly.
    """
    centre = _centre(MASTER_SHAPE)
    target = _rotate(points - params.offset - centre, -params.rotation)

    def step(_: Array | int, q: Array) -> Array:
        return target - _displacement(params, q)

    q = jax.lax.fori_loop(0, INVERSE_STEPS, step, target)
    if params.force is not None:
        q = released(params.force, q)
    q = q * params.zoom
    if params.conditions is not None:
        q = q - strip_shift(params.conditions, q)
    return _rotate(q, -params.turn) + _centre(shape)


def contact_depth(
    params: ImpressionParams, points: Float[Array, "*P 2"], shape: tuple[int, int]
) -> Float[Array, "*P"]:
    """Return how deep points lie in the contact region: 1 at its centre, 0 on its ragged border."""
    q = upright(params, points, shape) - params.contact_centre
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
    q = upright(params, points, shape) - params.window_centre
    return (params.window_half - jnp.abs(q)).min(-1)


def in_contact(
    params: ImpressionParams, points: Float[Array, "*P 2"], shape: tuple[int, int]
) -> Bool[Array, "*P"]:
    """Return where the finger touches, the sensor sees it and the master covers it."""
    master = to_master(params, points, shape)
    height, width = MASTER_SHAPE
    covered = (master >= 2).all(-1) & (master[..., 0] <= width - 3) & (master[..., 1] <= height - 3)
    seen = window_depth(params, points, shape) > 0
    return covered & seen & (contact_depth(params, points, shape) > 0.02)


@usual_promotion()
@partial(jax.jit, static_argnames="shape")
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
