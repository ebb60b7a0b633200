"""The losses of both modules, in log space.

L_D over the dual softmax of the coarse cells, L_F over positions within them, L_P over poses, L_M
and L_E, contrastive, over similarities of dense maps and of index vectors, and L_A, ArcFace (Deng
et al., CVPR 2019), over identities.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from ifvit.models.pose_head import PoseMap
from ifvit.sources.truth import UNMATCHED

NO_OTHER = -1e9
"""Logit of pairs that are no impostor pairs: it adds nothing to a sum of exponentials."""


def log1mexp(log_p: Float[Array, "*A"]) -> Float[Array, "*A"]:
    """Return log(1 - exp(log_p)) for log_p ≤ 0, stable at both ends.

    Mächler, "Accurately computing log(1 − exp(−|a|))" (2012). At log_p = 0, where the true value
    is -∞, it stops at the log of float32's resolution.
    """
    log_p = jnp.minimum(log_p, -1e-7)
    near = log_p > -0.6931472
    # Each branch gets a harmless input where it is not chosen, so that no NaN enters a gradient.
    small = jnp.log(-jnp.expm1(jnp.where(near, log_p, -1.0)))
    large = jnp.log1p(-jnp.exp(jnp.where(near, -1.0, log_p)))
    return jnp.where(near, small, large)


def dense_loss(log_p: Float[Array, "B N M"], matches0: Int[Array, "B N"]) -> Float[Array, ""]:
    """Return L_D: ``-log p`` at matches, ``-log(1 - p)`` over the rows of unmatched cells.

    ``log_p`` is the log of the dual softmax. The mean over matched cells and the mean over
    unmatched cells add up; each is 0 where the batch has no such cell. Ignored cells take no part.
    """
    matched = matches0 >= 0
    at = jnp.take_along_axis(log_p, jnp.maximum(matches0, 0)[..., None], axis=-1)[..., 0]
    row = -log1mexp(log_p).sum(-1)
    return _mean_where(-at, matched) + _mean_where(row, matches0 == UNMATCHED)


def _mean_where(values: Float[Array, "*A"], where: Bool[Array, "*A"]) -> Float[Array, ""]:
    return jnp.where(where, values, 0.0).sum() / jnp.maximum(where.sum(), 1)


def fine_loss(
    error: Float[Array, "B N 2"], spread: Float[Array, "B N"], counted: Bool[Array, "B N"]
) -> Float[Array, ""]:
    """Return L_F, the negative log-likelihood of the refined positions' errors, where ``counted``.

    The error of each coordinate has a Laplace distribution of the scale ``spread``; the constant is
    left out, and both are in cells. Where the network is uncertain, a large spread costs less than
    a wrong position with a small one (Kendall and Gal, NeurIPS 2017).
    """
    each = jnp.abs(error).sum(-1) / spread + 2 * jnp.log(spread)
    return _mean_where(each, counted)


def arcface_loss(
    embedding: Float[Array, "B E"],
    prototypes: Float[Array, "C E"],
    label: Int[Array, " B"],
    scale: Float[Array, ""] | float,
    margin: Float[Array, ""] | float,
) -> Float[Array, ""]:
    """Return L_A: cross-entropy over identities, the true one's angle enlarged by ``margin``.

    ``margin`` is in radians. ``embedding`` is L2-normalised, ``prototypes`` need not be. Where the
    angle plus the margin would pass π the cosine falls linearly instead, so that the gradient does
    not vanish.
    """
    unit = prototypes * jax.lax.rsqrt(jnp.square(prototypes).sum(-1, keepdims=True) + 1e-12)
    cosine = embedding @ unit.T
    true = jnp.take_along_axis(cosine, label[:, None], axis=1)[:, 0]
    sine = jnp.sqrt(jnp.maximum(1 - jnp.square(true), 1e-7))
    turned = true * jnp.cos(margin) - sine * jnp.sin(margin)
    turned = jnp.where(true > -jnp.cos(margin), turned, true - margin * jnp.sin(margin))
    chosen = jax.nn.one_hot(label, len(prototypes), dtype=bool)
    logits = scale * jnp.where(chosen, turned[:, None], cosine)
    return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()


def pose_loss(
    found: PoseMap, core: Float[Array, "B 2"], rotation: Float[Array, " B"], counted: Array
) -> Float[Array, ""]:
    """Return L_P, the loss of the core's position and the finger's direction, where ``counted``.

    It is the cross-entropy of the cell, with a soft target over the core's neighbours, plus the
    squared errors of offset and direction there. ``core`` is (x, y) in cells, the first cell's
    centre at 0.
    """
    height, width = found.log_p.shape[1:]
    y, x = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
    apart = core[:, None, None] - jnp.stack([x, y], axis=-1)
    share = jnp.exp(-0.5 * jnp.square(apart).sum(-1) / 0.6**2)
    share = share / jnp.maximum(share.sum((1, 2), keepdims=True), 1e-6)
    up = jnp.stack([jnp.cos(rotation), jnp.sin(rotation)], axis=-1)[:, None, None]
    misplaced = jnp.square(found.offset - apart).sum(-1)
    turned = jnp.square(found.up - up).sum(-1)
    log_p = jnp.maximum(found.log_p, -30.0)
    each = (share * (-log_p + 0.5 * misplaced + 2.0 * turned)).sum((1, 2))
    return _mean_where(each, counted)


def contrastive_loss(
    similarity: Float[Array, "B B"], label: Int[Array, " B"], scale: Float[Array, ""]
) -> Float[Array, ""]:
    """Return the supervised contrastive loss of a batch of prints.

    It is the mean over genuine pairs of the cross-entropy of the pair against the print's impostor
    pairs (Khosla et al., "Supervised contrastive learning", NeurIPS 2020); ``scale`` is the inverse
    of the temperature.
    """
    logits = scale * similarity
    same = label[:, None] == label
    genuine = same & ~jnp.eye(len(label), dtype=bool)
    # Not minus infinity: a batch of one finger has no others, and its gradient would be NaN.
    others = jnp.where(same, NO_OTHER, logits)
    denominator = jnp.logaddexp(jax.nn.logsumexp(others, axis=1, keepdims=True), logits)
    return _mean_where(denominator - logits, genuine)
