"""Harder conditions: drops of water, dry dots, worn skin, scars, marks, strips and combs.

Only hard impressions have them, each with a probability of its own. Conditions of the skin are in
the master's coordinates, those of the sensor in the frame's, from its centre. They move no ridges,
except strips, which are part of the exact map (:func:`strip_shift`), and a comb, which moves them
by less than a pixel. Lengths are in pixels at 500 ppi.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ifvit.synthesis.master import MASTER_SHAPE
from ifvit.synthesis.noise import smooth_noise

STRIPS = 64
"""Number of strips of a sweep: enough for a turned frame of 500 px in the narrowest strips."""

DROPS = 5

UNITS = 4
"""Number of sensors of each kind; all impressions of a finger come from one of them."""


class Strokes(NamedTuple):
    """Bent strokes that taper to their ends: scars, lines, spots, smears."""

    centre: Float[Array, "*B S 2"]
    angle: Float[Array, "*B S"]
    half_length: Float[Array, "*B S"]
    half_width: Float[Array, "*B S"]
    bend: Float[Array, "*B S"]
    """Amplitude of the stroke's bends, px."""
    strength: Float[Array, "*B S"]
    """Strength of each stroke; 0 where there is none."""
    soft: Float[Array, "*B S"]
    """Width over which a stroke's edge rises, px."""


class Conditions(NamedTuple):
    """The conditions, beside force, of a hard impression; all are zero for others."""

    drop_centre: Float[Array, "*B drops 2"]
    drop_radius: Float[Array, "*B drops"]
    drops: Float[Array, "*B"]
    """1 where drops of water fill whole areas, and the rest is dry."""
    dots: Float[Array, "*B"]
    """Share of a dry ridge that is left only as dots, 0 to 1."""
    flakes: Float[Array, "*B"]
    """Share of worn skin that does not touch, in short strokes."""
    scars: Strokes
    """Scars and cracks, in the master's pixels: the first two are the finger's own."""
    marks: Strokes
    """Lines, spots and a smear of the sensor; a negative strength is a dark one."""
    strip_height: Float[Array, "*B"]
    strip_offset: Float[Array, "*B strips"]
    """How far along x each strip of a sweep misses the one before it."""
    comb: Float[Array, "*B"]
    """How far along x every other row was read later, px, at most 1."""
    key: PRNGKeyArray
    """Source of the edges of drops and of the grain of dots and flakes."""


def draw_conditions(
    key: PRNGKeyArray,
    finger: PRNGKeyArray,
    hard: Bool[Array, ""],
    sensor: Int[Array, ""],
    sweeps: Bool[Array, ""],
) -> Conditions:
    """Draw an impression's conditions: none where it is not ``hard``.

    Scars of the finger and the unit of its ``sensor`` descend from the finger's key, and so are the
    same in all its impressions. Only sensors that the finger ``sweeps`` over have strips.
    """
    k = jax.random.split(key, 12)
    uniform, bernoulli, normal = jax.random.uniform, jax.random.bernoulli, jax.random.normal
    unit = jax.random.randint(jax.random.fold_in(finger, 2), (), 0, UNITS)
    sensor_key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 3), sensor * UNITS + unit)
    marks = _draw_marks(sensor_key)
    marked = hard & bernoulli(k[0], 0.35)
    ragged = hard & sweeps & bernoulli(k[1], 0.5)
    steps = jnp.clip(normal(k[2], (STRIPS,)), -2, 2) * uniform(k[3], minval=0.5, maxval=1.5)
    combed = hard & bernoulli(k[4], jnp.where(sweeps, 0.4, 0.1))
    return Conditions(
        drop_centre=jnp.clip(normal(k[5], (DROPS, 2)), -2, 2) * jnp.array([45.0, 60.0]),
        drop_radius=uniform(k[6], (DROPS,), minval=10.0, maxval=42.0),
        drops=(hard & bernoulli(k[7], 0.15)).astype(jnp.float32),
        dots=(hard & bernoulli(k[8], 0.25)) * uniform(k[9], minval=0.5, maxval=1.0),
        flakes=(hard & bernoulli(k[10], 0.2)) * uniform(k[11], minval=0.5, maxval=1.0),
        scars=_draw_scars(jax.random.fold_in(finger, 3), jax.random.fold_in(key, 12), hard),
        marks=marks._replace(strength=marked * marks.strength),
        strip_height=uniform(jax.random.fold_in(key, 13), minval=8.0, maxval=28.0),
        strip_offset=ragged * steps,
        comb=combed * uniform(jax.random.fold_in(key, 14), minval=0.5, maxval=1.0),
        key=jax.random.fold_in(key, 15),
    )


def _draw_scars(finger: PRNGKeyArray, own: PRNGKeyArray, hard: Bool[Array, ""]) -> Strokes:
    """Draw two scars of the finger, on one in three, and one crack of the impression alone."""

    def some(key: PRNGKeyArray, count: int, share: float) -> Strokes:
        u = jax.random.uniform(key, (6, count), minval=-1.0, maxval=1.0)
        middle = (jnp.array(MASTER_SHAPE[::-1]) - 1) / 2
        present = jax.random.uniform(jax.random.fold_in(key, 1), (count,)) < share
        return Strokes(
            centre=middle + jnp.array([70.0, 95.0]) * u[:2].T,
            angle=jnp.pi / 2 * u[2],
            half_length=65 + 40 * u[3],
            half_width=2.6 + 1.4 * u[4],
            bend=3.5 + 3.0 * u[5],
            strength=hard * present.astype(jnp.float32),
            soft=jnp.ones(count),
        )

    both = some(finger, 2, 0.2), some(own, 1, 0.15)
    return Strokes(*(jnp.concatenate(pair) for pair in zip(*both, strict=True)))


def _draw_marks(key: PRNGKeyArray) -> Strokes:
    """Draw what one sensor shows in every print: two lines, four spots and a smear."""
    k = jax.random.split(key, 6)
    u = jax.random.uniform(k[0], (6, 7), minval=-1.0, maxval=1.0)
    # Lines along the sensor's rows or columns; the others lie any way.
    level = jnp.array([1, 1, 0, 0, 0, 0, 0])
    upright = jnp.round(0.5 + 0.5 * u[2]) * jnp.pi / 2
    size = jnp.array(
        [[200.0, 90.0, 3.5, 3.5, 4.5, 6.0, 60.0], [1.2, 0.9, 2.5, 3.0, 3.5, 4.5, 16.0]]
    )
    dark = jnp.where(u[3] > 0, 1.0, -1.0)
    return Strokes(
        centre=jnp.array([120.0, 150.0]) * u[:2].T,
        angle=jnp.where(level == 1, upright, jnp.pi * u[2]),
        half_length=size[0] * (1 + 0.4 * u[4]),
        half_width=size[1] * (1 + 0.4 * u[5]),
        bend=jnp.array([0.0, 0.0, 0.4, 0.4, 0.5, 0.6, 5.0]),
        strength=dark * jnp.array([0.8, 0.6, 0.9, 0.9, 0.8, 0.7, 0.45]),
        soft=jnp.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.5, 16.0]),
    )


def _waves(points: Float[Array, "*P 2"]) -> Float[Array, "*P"]:
    """Return two waves whose lengths do not fit, so that no scar's edge is straight."""
    x, y = points[..., 0], points[..., 1]
    return jnp.sin(x / 17 + y / 31) + 0.3 * jnp.sin(y / 6.1 - x / 7.3)


def covered(
    strokes: Strokes, points: Float[Array, "*P 2"], waves: Float[Array, "*P"] | float = 0.0
) -> Float[Array, "*P"]:
    """Return the sum of the strengths of strokes, bent by ``waves``, that cover points."""
    x, y = points[..., 0], points[..., 1]
    cos, sin = jnp.cos(strokes.angle), jnp.sin(strokes.angle)
    total = jnp.zeros_like(x)
    # One after the other: compiled to one pass over the pixels, where a batch would be many.
    for i in range(strokes.angle.shape[-1]):
        dx, dy = x - strokes.centre[i, 0], y - strokes.centre[i, 1]
        along, across = cos[i] * dx + sin[i] * dy, cos[i] * dy - sin[i] * dx
        width = strokes.half_width[i] * (1 - jnp.square(along / strokes.half_length[i]))
        edge = width - jnp.abs(across - strokes.bend[i] * waves)
        total = total + strokes.strength[i] * jnp.clip(edge / strokes.soft[i], 0, 1)
    return total


def moisture(
    conditions: Conditions,
    q: Float[Array, "H W 2"],
    on_master: Float[Array, "H W 2"],
    pores: Float[Array, "H W"],
) -> Float[Array, "H W"]:
    """Return what drops, dots, worn skin and scars add to how firmly the skin touches.

    ``q`` are the frame's pixels from its centre, ``on_master`` the same on the master, ``pores``
    1 where a pore opens. The result is in units of relief.
    """
    shape = (q.shape[0], q.shape[1])
    k = jax.random.split(conditions.key, 3)
    grain = smooth_noise(k[0], shape, 4.5)
    # Water lies where it fell, with the edges that the skin's folds gave it, and fills all there.
    near = jnp.zeros(shape)
    for i in range(DROPS):
        x, y = q[..., 0] - conditions.drop_centre[i, 0], q[..., 1] - conditions.drop_centre[i, 1]
        ratio = (jnp.square(x) + jnp.square(y)) / jnp.square(conditions.drop_radius[i])
        near = near + 1 / jnp.square(1 + ratio)
    folds = 0.13 * smooth_noise(k[1], shape, 20.0) + 0.03 * grain
    wet = jnp.clip((near + folds - 0.4) / 0.04, 0, 1)
    added = conditions.drops * (3.6 * wet - 0.6)
    # Only crests touch, and pores part them: what is left are dots that are strung along ridges.
    added = added - conditions.dots * (0.55 + 2.2 * pores - 0.45 * grain)
    strokes = smooth_noise(k[2], shape, (9.0, 3.0))
    added = added - 3.0 * conditions.flakes * jnp.clip((strokes - 1.1) / 0.3, 0, 1)
    return added - 3.5 * covered(conditions.scars, on_master, _waves(on_master))


def marked(
    conditions: Conditions, image: Float[Array, "H W"], q: Float[Array, "H W 2"]
) -> Float[Array, "H W"]:
    """Lay the sensor's marks over an image: light where their strength is positive, else dark."""
    level = jnp.clip(covered(conditions.marks, q), -1, 1)
    light, dark = jnp.maximum(level, 0), jnp.maximum(-level, 0)
    return image + light * (0.95 - image) + dark * (0.1 - image)


def strip_shift(conditions: Conditions, q: Float[Array, "*P 2"]) -> Float[Array, "*P 2"]:
    """Return how far strips displace points along x; their y, which decides it, stays.

    Subtracting the shift at a displaced point therefore gives the original point, exactly.
    """
    strip = jnp.floor(q[..., 1] / conditions.strip_height).astype(int) + STRIPS // 2
    shift = conditions.strip_offset[jnp.clip(strip, 0, STRIPS - 1)]
    return jnp.stack([shift, jnp.zeros_like(shift)], axis=-1)


def comb_shift(conditions: Conditions, q: Float[Array, "*P 2"]) -> Float[Array, "*P"]:
    """Return how far along x every other row was read: half the comb to either side."""
    return conditions.comb * (jnp.mod(jnp.round(q[..., 1]), 2) - 0.5)
