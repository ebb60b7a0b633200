"""Where in its partner's neighbourhood a coarse cell's centre lies: Module 1's fine level.

LoFTR (Sun et al., CVPR 2021, section 3.4) looks for it in windows of a finer feature map. Here it
is predicted from the coarse features, as in XFeat (Potje et al., CVPR 2024, section 3.3): a cell is
two ridges wide, and its features change with where in the cell these lie. So no finer map of a
print is needed.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

FINE_WIDTH = 128
"""Width of the hidden layers."""

LEAST_SPREAD = 0.01
"""Smallest spread, in cells: with a limit the loss cannot fall without end."""


class FinePlaces(NamedTuple):
    """Where the centres of image 0's N cells lie in image 1, for B pairs."""

    correction: Float[Array, "B N 2"]
    """Correction to be added to the coarse position, (column, row) in cells."""
    spread: Float[Array, "B N"]
    """Scale of the Laplace distribution predicted for the error of each coordinate, in cells, given
    that the partner is right: wrong matches take no part in training it."""


class FineMatchingHead(nnx.Module):
    """A perceptron on the features of a cell and its partner, from backbone and transformer."""

    def __init__(self, d_model: int, *, rngs: nnx.Rngs) -> None:
        """Make a head that corrects nothing at the start: the last layer's weights are zero."""
        self.first = nnx.Linear(4 * d_model, FINE_WIDTH, rngs=rngs)
        self.second = nnx.Linear(FINE_WIDTH, FINE_WIDTH, rngs=rngs)
        self.last = nnx.Linear(FINE_WIDTH, 3, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(
        self,
        maps: tuple[Float[Array, "B N D"], Float[Array, "B M D"]],
        feats: tuple[Float[Array, "B N D"], Float[Array, "B M D"]],
        partner0: Int[Array, "B N"],
    ) -> FinePlaces:
        """Return the correction of each cell's position in image 1.

        ``maps`` are the backbone's features of both images' cells, ``feats`` the transformer's,
        and ``partner0`` is the index of the cell of image 1 that each cell of image 0 fits.
        """
        at = partner0[..., None]
        there = [jnp.take_along_axis(one, at, axis=1) for one in (maps[1], feats[1])]
        both = jnp.concatenate([maps[0], there[0], feats[0], there[1]], axis=-1)
        hidden = nnx.relu(self.second(nnx.relu(self.first(both))))
        found = self.last(hidden).astype(jnp.float32)
        return FinePlaces(found[..., :2], LEAST_SPREAD + nnx.softplus(found[..., 2] - 1.0))
