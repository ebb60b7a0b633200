"""From two sets of tokens to the probability that each pair of cells shows the same skin."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

MASKED_LOG_P = -1e4
"""Log probability of a pair with a masked cell: finite, so that zero times it stays zero, and so
low that its exponential is exactly zero in every float type."""


def log_dual_softmax(
    similarity: Float[Array, "B N M"],
    mask0: Bool[Array, "B N"] | None = None,
    mask1: Bool[Array, "B M"] | None = None,
) -> Float[Array, "B N M"]:
    """Return the log of the dual softmax (softmax over rows times that over columns; LoFTR, eq. 2).

    Masked cells count as removed: they take no probability, and their own entries are
    ``MASKED_LOG_P``. Values and gradients are finite even where everything is masked.
    """
    if mask0 is None and mask1 is None:
        return nnx.log_softmax(similarity, axis=2) + nnx.log_softmax(similarity, axis=1)
    rows = jnp.ones(similarity.shape[:2], bool) if mask0 is None else mask0
    columns = jnp.ones(similarity.shape[::2], bool) if mask1 is None else mask1
    valid = rows[:, :, None] & columns[:, None, :]
    kept = jnp.where(valid, similarity, -1e9)
    log_p = nnx.log_softmax(kept, axis=2) + nnx.log_softmax(kept, axis=1)
    return jnp.where(valid, log_p, MASKED_LOG_P)


class DenseMatchingHead(nnx.Module):
    """Project the tokens, compare all of image 0 with all of image 1, and normalise both ways."""

    def __init__(self, d_model: int, temperature: float, *, rngs: nnx.Rngs) -> None:
        """Take the ``temperature`` that divides similarities: the smaller, the sharper the
        softmax."""
        self.temperature = temperature
        # Orthogonal at the start: it leaves every inner product as it is, so that a transformer
        # that already matches (a converted LoFTR) goes on matching with a new head.
        self.final_proj = nnx.Linear(
            d_model,
            d_model,
            use_bias=False,
            kernel_init=nnx.initializers.orthogonal(),
            rngs=rngs,
        )

    def __call__(
        self,
        feat0: Float[Array, "B N D"],
        feat1: Float[Array, "B M D"],
        mask0: Bool[Array, "B N"] | None = None,
        mask1: Bool[Array, "B M"] | None = None,
    ) -> Float[Array, "B N M"]:
        """Return the log dual-softmax confidence, float32, masked as in
        :func:`log_dual_softmax`."""
        d_model = feat0.shape[-1]
        # Both sides divided by √D, as in LoFTR: the similarity is a mean over the channels.
        unit0 = self.final_proj(feat0).astype(jnp.float32) / d_model**0.5
        unit1 = self.final_proj(feat1).astype(jnp.float32) / d_model**0.5
        similarity = jnp.einsum("bnd,bmd->bnm", unit0, unit1) / self.temperature
        return log_dual_softmax(similarity, mask0, mask1)


def mutual_matches(
    log_p: Float[Array, "B N M"], threshold: float
) -> tuple[Int[Array, "B N"], Float[Array, "B N"]]:
    """Return the cells that choose each other with a confidence above ``threshold`` (0 to 1).

    Returns ``matches0``, the index of the matching cell in image 1 or -1, int32; and the
    confidence of each cell's best partner, whether or not it is accepted.
    """
    best1 = jnp.argmax(log_p, axis=2)
    best0 = jnp.argmax(log_p, axis=1)
    confidence = jnp.exp(jnp.max(log_p, axis=2))
    chosen_back = jnp.take_along_axis(best0, best1, axis=1) == jnp.arange(log_p.shape[1])
    # Strictly above, so that masked cells, whose confidence is exactly 0, never match.
    accepted = chosen_back & (confidence > threshold)
    return jnp.where(accepted, best1, -1).astype(jnp.int32), confidence


def cell_matches(
    log_p: Float[Array, "B N M"], width: int
) -> tuple[Int[Array, "B N"], Float[Array, "B N"], Float[Array, "B N 2"], Int[Array, "B M"]]:
    """Reduce a confidence matrix to each cell's best partner, which is all registration needs.

    ``width`` is the number of image 1's coarse cells in a row. Returns, for each cell of image 0,
    the index of its best partner in image 1, that partner's confidence (0 to 1) and its position
    (column, row) in cells; and for each cell of image 1 the index of its best partner in image 0.
    The position is the mean of the 3×3 cells around the partner, weighted by their confidence:
    where the true point lies near a cell's border, the confidence is shared by the neighbours.
    """
    best1, best0 = jnp.argmax(log_p, axis=2), jnp.argmax(log_p, axis=1)
    confidence = jnp.exp(jnp.max(log_p, axis=2))
    step = jnp.arange(9)
    row = (best1 // width)[..., None] + step // 3 - 1
    column = (best1 % width)[..., None] + step % 3 - 1
    height = log_p.shape[2] // width
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    index = jnp.where(inside, row * width + column, 0)
    weight = jnp.where(inside, jnp.exp(jnp.take_along_axis(log_p, index, axis=2)), 0.0)
    total = jnp.maximum(weight.sum(axis=-1, keepdims=True), 1e-12)
    position = (weight[..., None] * jnp.stack([column, row], axis=-1)).sum(axis=2) / total
    return best1.astype(jnp.int32), confidence, position, best0.astype(jnp.int32)
