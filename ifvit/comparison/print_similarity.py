"""How alike two dense maps are: cell by cell, over the few places that a pose leaves open."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

REACH = 1
"""Cells by which one map is shifted against the other, each way along each axis."""

SHRINKAGE = 24.0
"""Cells of no agreement that every comparison is given: what few cells say is not yet much."""


def map_similarity(
    cells0: Float[Array, "P h w K"],
    mask0: Bool[Array, "P h w"],
    cells1: Float[Array, "Q h w K"],
    mask1: Bool[Array, "Q h w"],
    reach: int = REACH,
) -> Float[Array, "P Q"]:
    """Return the mean cosine of the cells that both prints show, at the best of few shifts.

    All of P maps with all of Q; :data:`SHRINKAGE` cells of cosine 0 are in every mean.
    """
    count0 = mask0.astype(cells0.dtype)
    margin = (reach, reach)
    padded = jnp.pad(cells1, ((0, 0), margin, margin, (0, 0)))
    shown = jnp.pad(mask1.astype(cells1.dtype), ((0, 0), margin, margin))
    height, width = mask0.shape[1:]
    found = []
    for i in range(2 * reach + 1):
        for j in range(2 * reach + 1):
            window = padded[:, i : i + height, j : j + width]
            both = jnp.einsum("phw,qhw->pq", count0, shown[:, i : i + height, j : j + width])
            agree = jnp.einsum("phwk,qhwk->pq", cells0, window)
            found.append(agree / (both + SHRINKAGE))
    return jnp.stack(found).max(0)
