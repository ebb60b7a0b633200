"""The look of an impression: pressure, dry and wet skin, pores, scratches, and the sensor.

The skin's relief touches the glass where relief + pressure > 0. Everything that varies the look
adds to that sum or to the sensor's reading of it; nothing here moves a ridge.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ifvit.geometry.warp import sample
from ifvit.jax_settings import usual_promotion
from ifvit.synthesis.conditions import comb_shift, marked, moisture
from ifvit.synthesis.draw import ImpressionParams
from ifvit.synthesis.impression import (
    contact_depth,
    in_contact,
    on_sensor,
    to_master,
    upright,
    wetness,
    window_depth,
)
from ifvit.synthesis.master import Master
from ifvit.synthesis.noise import smooth_noise
from ifvit.synthesis.skin import follows


class Impression(NamedTuple):
    """A rendered impression, at 500 ppi."""

    image: Float[Array, "*B H W"]
    """Grey values in [0, 1], ridges dark."""
    relief: Float[Array, "*B H W"]
    """The skin's relief in [-1, 1] at each pixel, before pressure and noise."""
    contact: Bool[Array, "*B H W"]


def frame_points(shape: tuple[int, int]) -> Float[Array, "H W 2"]:
    """Return the (x, y) of every pixel of a frame of ``shape`` (H, W)."""
    x, y = jnp.meshgrid(jnp.arange(shape[1]), jnp.arange(shape[0]))
    return jnp.stack([x, y], axis=-1).astype(jnp.float32)


@usual_promotion()
@partial(jax.jit, static_argnames="shape")
def render(master: Master, params: ImpressionParams, shape: tuple[int, int]) -> Impression:
    """Render one impression of a master into a frame of ``shape`` (H, W) at 500 ppi."""
    points = frame_points(shape)
    harder = params.conditions
    on_glass = on_sensor(params, points, shape)
    on_master = to_master(params, points, shape)
    if harder is not None:
        # A comb is a look, not part of the exact map: half a pixel to either side, row by row.
        comb = comb_shift(harder, on_glass) / params.zoom
        across = jnp.stack([jnp.cos(params.rotation), jnp.sin(params.rotation)])
        on_master = on_master + comb[..., None] * across
    relief = sample(master.ridges, on_master) / 127
    pores = sample(master.pores, on_master) / 127
    depth = contact_depth(params, points, shape)
    keys = jax.random.split(params.noise_key, 4)
    wet = wetness(params, points, shape)
    if params.force is not None:
        # Skin that sticks is pressed the most.
        sticks = 0.55 - follows(params.force, upright(params, points, shape))
        wet = wet + params.force.firmness * sticks
    if harder is not None:
        wet = wet + moisture(harder, on_glass, on_master, pores)
    ink = _contact(relief, pores, depth, wet, params, keys[0])
    image = _read_out(ink, depth, params, keys[1])
    if harder is not None:
        image = marked(harder, image, on_glass)
    beyond = jax.random.uniform(keys[2], minval=0.3, maxval=1.0)
    image = jnp.where(window_depth(params, points, shape) > 0, image, beyond)
    return Impression(image, relief, in_contact(params, points, shape))


def _contact(
    relief: Array,
    pores: Array,
    depth: Array,
    wet: Array,
    params: ImpressionParams,
    key: PRNGKeyArray,
) -> Float[Array, "H W"]:
    """Return how much each pixel touches, 0 to 1."""
    k = jax.random.split(key, 6)
    shape = (relief.shape[0], relief.shape[1])
    # Skin grain breaks dry ridges into dots; slow variation is moisture and uneven pressure.
    grain = 0.75 * smooth_noise(k[0], shape, 2.3) + 0.65 * smooth_noise(k[1], shape, 6.0)
    patches = smooth_noise(k[2], shape, 45.0)
    # Where one presses harder the skin is moist too: ridges swell until only specks stay white.
    dryness = jnp.clip(params.dryness - params.unevenness * patches - 0.3 * wet, 0.04, 1.0)
    touch = relief + params.pressure + params.unevenness * patches + wet
    touch = touch + grain * (0.10 + 0.75 * dryness)
    touch = touch - pores * jax.random.uniform(k[3], minval=0.0, maxval=1.4)
    # The pad lifts off towards its border: ridges thin, then only their highest points touch.
    fade = jax.random.uniform(k[4], minval=0.03, maxval=0.12)
    touch = touch - 1.7 * jnp.exp(-jnp.maximum(depth, -0.3) / fade)
    touch = touch - 2.5 * _scratches(k[5], shape)
    # How sharply the sensor tells touching from not touching.
    blur = jax.random.uniform(jax.random.fold_in(key, 6), minval=0.10, maxval=0.35)
    return jax.nn.sigmoid(touch / blur)


def _scratches(key: PRNGKeyArray, shape: tuple[int, int]) -> Float[Array, "H W"]:
    """Return up to four thin straight scratches of this impression alone."""
    u = jax.random.uniform(key, (4, 5), minval=-1.0, maxval=1.0)
    y, x = jnp.meshgrid(jnp.arange(shape[0]), jnp.arange(shape[1]), indexing="ij")

    def scratch(v: Float[Array, 5]) -> Float[Array, "H W"]:
        angle = jnp.pi * v[0]
        dx, dy = x - shape[1] * (0.5 + 0.4 * v[1]), y - shape[0] * (0.5 + 0.4 * v[2])
        along = dx * jnp.cos(angle) + dy * jnp.sin(angle)
        across = dy * jnp.cos(angle) - dx * jnp.sin(angle)
        ends = jnp.clip(1 - jnp.square(along / (40 + 30 * v[3])), 0, 1)
        return (v[4] > 0.4) * ends * jnp.exp(-0.5 * jnp.square(across / 1.3))

    return jax.vmap(scratch)(u).sum(0)


def _read_out(
    ink: Array, depth: Array, params: ImpressionParams, key: PRNGKeyArray
) -> Float[Array, "H W"]:
    """Turn contact into the grey values of the impression's kind of sensor."""
    k = jax.random.split(key, 11)
    shape = (ink.shape[0], ink.shape[1])
    uniform = jax.random.uniform
    fine = jax.random.normal(k[0], shape)
    slow = smooth_noise(k[1], shape, 60.0)
    medium = smooth_noise(k[2], shape, 3.0)
    # Optical: saturated black on white, a weak shadow of what touched before.
    dark = uniform(k[3], minval=0.75, maxval=1.15)
    optical = 1.02 - dark * ink * (1 + 0.15 * slow) + 0.012 * fine - 0.02 * medium
    # Moisture and fat that earlier fingers left: grains around the print, strong in one of five.
    residue = 0.5 * jnp.maximum(uniform(k[8]) - 0.8, 0.0) / 0.2
    grains = jax.nn.sigmoid(4 * (jax.random.normal(k[9], shape) + medium + 0.7 * slow - 0.8))
    haze = residue * (1 - ink) * grains
    optical = optical - haze
    # Capacitive: ridges of an even mid-grey, a noisy background with specks of residue.
    grey = uniform(k[4], minval=0.40, maxval=0.70)
    specks = jax.nn.sigmoid((medium - 1.9) * 4)
    level = uniform(k[5], minval=0.82, maxval=1.0)
    capacitive = level - grey * ink - 0.18 * specks * (1 - ink) + 0.03 * fine + 0.02 * slow
    # A warm finger's vapour settles around it.
    capacitive = capacitive - haze * jnp.exp(jnp.minimum(depth, 0.0) / 0.3)
    # Thermal: full contrast within the contact, a grey field with vertical streaks around it.
    streaks = smooth_noise(k[6], (1, shape[1]), 5.0)
    around = uniform(k[7], minval=0.25, maxval=0.6) + 0.02 * streaks + 0.04 * slow
    # The pad's rim warms the sensor unevenly: bright on some sides, dark on others.
    rim = 0.03 + 0.02 * slow
    inside = jax.nn.sigmoid((depth + rim) / 0.03)
    # A sweep sensor feels changes of temperature: some show a ridge's edges more than the ridge.
    relief = ink - uniform(k[10], minval=-1.2, maxval=0.8).clip(0) * jnp.roll(ink, 3, axis=0)
    thermal = inside * (1.0 - 0.98 * relief) + (1 - inside) * around + 0.02 * fine
    stack = jnp.stack([optical, capacitive, thermal])
    return jnp.clip(stack[params.sensor], 0.0, 1.0)
