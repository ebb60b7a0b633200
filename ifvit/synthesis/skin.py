"""Skin under force: a finger that sticks to the glass in one place and is pulled, twisted, pressed.

The plasticity model of Cappelli, Maio and Maltoni ("Modelling plastic distortion in fingerprint
images", ICAPR 2001): inside an ellipse the skin is pressed so firmly that it does not slip; far
outside it follows the finger, which is pulled and twisted about the ellipse's middle; between the
two a braking function joins them, over a width that is the skin's plasticity. Pressure that
spreads the ridges around that middle is added. Points are (x, y) in pixels at 500 ppi from a
frame's centre.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

MOST_STRAIN = 0.5
"""The smallest singular value of the braked map's Jacobian is at least 1 minus this: skin is
stretched to twice its length at most, and never folds."""

MOST_SPREAD = 0.13
"""Share by which pressure spreads ridges at most: they lie 1 / (1 - 0.13) as far apart there."""

MOST_MILD = 0.19
"""Lipschitz constant that strain, bumps and sweep have at most under force. The map's smallest
singular value is then at least (1 - 0.5) (1 - 0.13) (1 - 0.19) = 0.35."""

INVERSE_STEPS = 7
"""Newton steps of :func:`released`: after six the error of 4,000 draws was below 0.0001 px."""


class Force(NamedTuple):
    """How a finger is held, pulled and pressed. Pixels at 500 ppi, radians; all zero if not."""

    pull: Float[Array, "*B 2"]
    """How far the skin that follows the finger lies from where it would."""
    twist: Float[Array, "*B"]
    centre: Float[Array, "*B 2"]
    """Middle of the ellipse that sticks, and of the twist, from the frame's centre."""
    radii: Float[Array, "*B 2"]
    plasticity: Float[Array, "*B"]
    """Width of the transition, in radii of the ellipse."""
    spread: Float[Array, "*B"]
    """Share by which pressure draws ridges apart at the ellipse's middle."""
    firmness: Float[Array, "*B"]
    """Pressure added where the skin sticks and taken where it follows, in units of relief."""


def draw_force(key: PRNGKeyArray, hard: Bool[Array, ""]) -> Force:
    """Draw the force on an impression: none where it is not ``hard``, nor on one of five hard ones.

    Most pulls run along the finger (y). Pull and twist are drawn up to 60 px and 25 degrees, and
    both made smaller where the transition is too narrow for them (:data:`MOST_STRAIN`).
    """
    k = jax.random.split(key, 12)
    normal, uniform, bernoulli = jax.random.normal, jax.random.uniform, jax.random.bernoulli
    forced = hard & bernoulli(k[0], 0.8)
    along = jax.random.rademacher(k[1], (), jnp.float32) * jnp.pi / 2 + 0.3 * normal(k[2])
    any_way = uniform(k[3], maxval=2 * jnp.pi)
    angle = jnp.where(bernoulli(k[4], 0.8), along, any_way)
    length = bernoulli(k[5], 0.85) * uniform(k[6], minval=15.0, maxval=60.0)
    turned = jnp.clip(normal(k[7]), -2, 2) * jnp.deg2rad(12.5)
    centre = jnp.clip(normal(k[8], (2,)), -2, 2) * jnp.array([22.0, 42.0])
    drawn = Force(
        pull=length * jnp.stack([jnp.cos(angle), jnp.sin(angle)]),
        twist=turned * bernoulli(k[9], 0.7),
        centre=centre,
        radii=uniform(k[10], (2,), minval=jnp.array([32.0, 36.0]), maxval=jnp.array([60.0, 75.0])),
        plasticity=uniform(jax.random.fold_in(k[10], 1), minval=2.0, maxval=4.5),
        spread=forced * uniform(k[11], maxval=MOST_SPREAD),
        firmness=forced * uniform(jax.random.fold_in(k[11], 1), minval=0.0, maxval=0.8),
    )
    share = forced * jnp.minimum(1.0, MOST_STRAIN / jnp.maximum(strain_bound(drawn), 1e-6))
    return drawn._replace(pull=share * drawn.pull, twist=share * drawn.twist)


def weakened(force: Force, share: Float[Array, ""] | float) -> Force:
    """Return a force of which a share is left, 0 to 1."""
    moved = {name: getattr(force, name) * share for name in ("pull", "twist", "spread")}
    return force._replace(**moved)


def strain_bound(force: Force) -> Float[Array, ""]:
    """Return a bound on what the braked map takes from the Jacobian's smallest singular value.

    The Jacobian is I + b (R - I) + v wᵀ, b the brake, w its gradient and v the displacement of skin
    that follows. Its smallest singular value is at least the smallest eigenvalue of its symmetric
    part: 1 - b (1 - cos twist) + (v·w - |v||w|) / 2. With g = π / 2k a pull has |v||w| - v·w of at
    most g |pull| / min(a, b) + g |(pull_x / a, pull_y / b)|; a twist adds at most
    |twist| g (1 + 0.58 k) (a/b + twist / 2) for a ≥ b, where 0.58 is the maximum of x sin πx.
    """
    a, b = force.radii[0], force.radii[1]
    twist = jnp.abs(force.twist)
    pulled = jnp.linalg.norm(force.pull) / jnp.minimum(a, b)
    pulled = pulled + jnp.linalg.norm(force.pull / force.radii)
    twisted = twist * (1 + 0.58 * force.plasticity) * (jnp.maximum(a / b, b / a) + twist / 2)
    return jnp.pi / (4 * force.plasticity) * (pulled + twisted) + jnp.square(twist) / 2


def calm(lipschitz: Float[Array, ""], hard: Bool[Array, ""]) -> Float[Array, ""]:
    """Return the share of an impression's other distortion that a hard one keeps, 1 where not hard.

    ``lipschitz`` bounds the Jacobian of that distortion; what is kept is below :data:`MOST_MILD`.
    """
    return jnp.where(hard, jnp.minimum(1.0, MOST_MILD / jnp.maximum(lipschitz, 1e-6)), 1.0)


def follows(force: Force, q: Float[Array, "*P 2"]) -> Float[Array, "*P"]:
    """Return how far skin at points ``q`` follows the finger: 0 where it sticks, 1 where it slips.

    The result is ½ (1 - cos(π s / k)): s is the distance from the ellipse in its own radii, and k
    the plasticity.
    """
    ratio = (q - force.centre) / force.radii
    # Clipped before the root: its derivative has no value at the middle.
    beyond = jnp.sqrt(jnp.maximum(jnp.square(ratio).sum(-1), 1.0)) - 1
    passed = jnp.minimum(beyond / force.plasticity, 1.0)
    return 0.5 * (1 - jnp.cos(jnp.pi * passed))


def forced(force: Force, q: Float[Array, "*P 2"]) -> Float[Array, "*P 2"]:
    """Map points of a frame to where their skin would lie without the force."""
    apart = q - force.centre
    # Twice the mean radius: what is pressed is wider than what sticks.
    width = force.radii.sum(-1)
    near = jnp.exp(-0.5 * jnp.square(apart).sum(-1) / jnp.square(width))
    apart = apart - (force.spread * near)[..., None] * apart
    brake = follows(force, apart + force.centre)
    cos, sin = jnp.cos(force.twist), jnp.sin(force.twist)
    x, y = apart[..., 0], apart[..., 1]
    turned = jnp.stack([(cos - 1) * x - sin * y, sin * x + (cos - 1) * y], axis=-1)
    return force.centre + apart + brake[..., None] * (turned + force.pull)


def released(force: Force, points: Float[Array, "*P 2"]) -> Float[Array, "*P 2"]:
    """Invert :func:`forced` by Newton's method: fixed-point steps would not converge.

    Where there is no force the first step is exact. A step is 30 px at most, so that none leaves
    the neighbourhood in which the Jacobian shows the direction.
    """

    def step(_: Array | int, q: Array) -> Array:
        def along(axis: int) -> tuple[Array, Array]:
            unit = jnp.broadcast_to(jnp.eye(2)[axis], q.shape)
            return jax.jvp(lambda p: forced(force, p), (q,), (unit,))

        (value, by_x), (_, by_y) = along(0), along(1)
        left = value - points
        a, c, b, d = by_x[..., 0], by_x[..., 1], by_y[..., 0], by_y[..., 1]
        whole = a * d - b * c
        move_x = (d * left[..., 0] - b * left[..., 1]) / whole
        move_y = (a * left[..., 1] - c * left[..., 0]) / whole
        move = jnp.stack([move_x, move_y], axis=-1)
        size = jnp.sqrt(jnp.square(move).sum(-1, keepdims=True) + 1e-12)
        return q - move * jnp.minimum(1.0, 30.0 / size)

    return jax.lax.fori_loop(0, INVERSE_STEPS, step, points)
