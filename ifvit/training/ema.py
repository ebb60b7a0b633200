"""The weights that are validated and saved: the model's own, or their running mean."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int


class Ema:
    """A model, and the exponential moving average of its weights if it has one.

    The batch statistics are averaged too, since they go with the weights.
    """

    def __init__(self, model: nnx.Module, decay: float) -> None:
        """Take the ``decay``, the share of the old average in the new one; 0: the model itself."""
        self.decay = decay
        self.model: Any = model
        self.weights: Any = nnx.clone(model) if decay else model

    @property
    def modules(self) -> dict[str, nnx.Module]:
        """Return the modules that a state of the run has to hold beside the model."""
        return {"average": self.weights} if self.decay else {}

    def follow(self, index: int) -> None:
        """Add the weights after step ``index`` to the average."""
        if self.decay:
            _follow(self.weights, self.model, index, self.decay)


@nnx.jit
def _follow(
    average: nnx.Module,
    model: nnx.Module,
    index: Int[Array, ""] | int,
    decay: Float[Array, ""] | float,
) -> None:
    # A shorter memory at first, or the initial weights would stay in the average for long.
    kept = jnp.minimum(decay, (1 + index) / (10 + index))
    new = nnx.state(model)
    old = nnx.state(average)
    nnx.update(average, jax.tree.map(lambda a, b: kept * a + (1 - kept) * b, old, new))
