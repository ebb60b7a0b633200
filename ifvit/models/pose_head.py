"""Where a finger's core lies on a print and which way the finger points, learned from exact poses.

The head reads only the backbone's map, so that it costs next to nothing once that map is there.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from ifvit.models.backbone import he_normal_fan_out

DILATIONS = (1, 2, 4, 2, 1)
"""Dilations of the head's successive 3×3 convolutions: together they see 21 cells, a whole
print."""

NO_CORE = -1e4
"""Logit of a cell that shows no ridges and has none beside it."""


class PoseMap(NamedTuple):
    """The head's prediction for each coarse cell of B prints."""

    log_p: Float[Array, "B h w"]
    """Logarithm of the probability that the core lies in the cell: a softmax over the print."""
    offset: Float[Array, "B h w 2"]
    """Where in (or beside) the cell the core lies, (x, y) from the cell's centre, in cells."""
    up: Float[Array, "B h w 2"]
    """Cosine and sine of the finger's rotation against upright, x axis towards y axis, if the core
    lies in the cell. The shorter than 1 this vector is, the less certain is the rotation."""


class PoseHead(nnx.Module):
    """Dilated convolutions over a feature map, whose receptive field is the whole print."""

    def __init__(self, d_model: int, *, rngs: nnx.Rngs) -> None:
        """Make the layers as wide as the map, with random weights."""
        conv = partial(
            nnx.Conv, use_bias=False, kernel_init=he_normal_fan_out, padding="SAME", rngs=rngs
        )
        norm = partial(nnx.BatchNorm, momentum=0.9, epsilon=1e-5, rngs=rngs)
        self.enter = conv(d_model + 1, d_model, (1, 1))
        self.convs = nnx.List(
            conv(d_model, d_model, (3, 3), kernel_dilation=step) for step in DILATIONS
        )
        self.norms = nnx.List(norm(d_model) for _ in DILATIONS)
        self.whole = nnx.Linear(d_model, d_model, use_bias=False, rngs=rngs)
        self.leave = nnx.Conv(
            d_model, 5, (1, 1), kernel_init=nnx.initializers.normal(0.01), rngs=rngs
        )

    def __call__(self, feature_map: Float[Array, "B h w D"], mask: Bool[Array, "B h w"]) -> PoseMap:
        """Look for the core of B prints; ``mask`` is the foreground, in cells."""
        shown = mask[..., None].astype(feature_map.dtype)
        x = self.enter(jnp.concatenate([feature_map * shown, shown], axis=-1))
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = x + nnx.relu(norm(conv(x)))
            seen = (x * shown).sum((1, 2)) / jnp.maximum(shown.sum((1, 2)), 1)
            x = x + self.whole(seen)[:, None, None]
        out = self.leave(x)
        logits = jnp.where(_beside(mask), out[..., 0], NO_CORE)
        flat = nnx.log_softmax(logits.reshape(len(logits), -1))
        return PoseMap(flat.reshape(logits.shape), out[..., 1:3], out[..., 3:5])


def _beside(mask: Bool[Array, "B h w"]) -> Bool[Array, "B h w"]:
    """Return the foreground grown by two cells: a core may lie just off the print."""
    soft = mask[..., None].astype(jnp.float32)
    return nnx.max_pool(soft, (5, 5), padding="SAME")[..., 0] > 0
