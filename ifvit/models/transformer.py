"""The transformer by which two feature maps attend to each other.

``LocalFeatureTransformer`` is LoFTR's (Sun et al., "LoFTR: Detector-free local feature matching
with transformers", CVPR 2021), number for number; ``SiameseTransformer`` is a generic one with the
same interface, for ablation. Tokens are coarse cells (:mod:`ifvit.models.tokens`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from ifvit.config import ModelConfig

Mask = Bool[Array, "B N"] | None
Layer = Callable[..., Array]


def linear_attention(
    query: Float[Array, "B N heads d"],
    key: Float[Array, "B M heads d"],
    value: Float[Array, "B M heads d"],
    q_mask: Mask = None,
    kv_mask: Bool[Array, "B M"] | None = None,
) -> Float[Array, "B N heads d"]:
    """Return attention in O(N) with the kernel (elu + 1) (Katharopoulos et al., ICML 2020).

    Masked queries get 0, masked keys have no weight.
    """
    q, k = nnx.elu(query) + 1.0, nnx.elu(key) + 1.0
    if q_mask is not None:
        q = q * q_mask[:, :, None, None]
    if kv_mask is not None:
        k = k * kv_mask[:, :, None, None]
        value = value * kv_mask[:, :, None, None]
    length = value.shape[1]  # divided out and put back, as LoFTR does against overflow in float16
    kv = jnp.einsum("bmhd,bmhv->bhdv", k, value / length)
    z = 1.0 / (jnp.einsum("bnhd,bhd->bnh", q, k.sum(axis=1)) + 1e-6)
    return jnp.einsum("bnhd,bhdv->bnhv", q, kv) * z[..., None] * length


def softmax_attention(
    query: Float[Array, "B N heads d"],
    key: Float[Array, "B M heads d"],
    value: Float[Array, "B M heads d"],
    kv_mask: Bool[Array, "B M"] | None = None,
) -> Float[Array, "B N heads d"]:
    """Return scaled dot-product attention; masked keys have no weight; without keys it is 0."""
    logits = jnp.einsum("bnhd,bmhd->bhnm", query, key) / math.sqrt(query.shape[-1])
    if kv_mask is None:
        weight = nnx.softmax(logits)
    else:
        keep = kv_mask[:, None, None, :]
        # Softmax of equal logits is finite where no key is left; the product then empties it.
        weight = nnx.softmax(jnp.where(keep, logits, -1e9)) * keep
    return jnp.einsum("bhnm,bmhv->bnhv", weight, value)


class LoFTREncoderLayer(nnx.Module):
    """One encoder layer of LoFTR: ten arrays, named as there, with no biases but the norms'."""

    def __init__(self, d_model: int, num_heads: int, *, rngs: nnx.Rngs) -> None:
        """Make a layer with random weights; ``num_heads`` must divide ``d_model``."""
        self.num_heads = num_heads
        self.q_proj = _linear(d_model, d_model, False, rngs)
        self.k_proj = _linear(d_model, d_model, False, rngs)
        self.v_proj = _linear(d_model, d_model, False, rngs)
        self.merge = _linear(d_model, d_model, False, rngs)
        self.mlp = nnx.Sequential(
            _linear(2 * d_model, 2 * d_model, False, rngs),
            nnx.relu,
            _linear(2 * d_model, d_model, False, rngs),
        )
        self.norm1 = _layer_norm(d_model, rngs)
        self.norm2 = _layer_norm(d_model, rngs)

    def __call__(
        self,
        x: Float[Array, "B N D"],
        source: Float[Array, "B M D"],
        x_mask: Mask = None,
        source_mask: Bool[Array, "B M"] | None = None,
    ) -> Float[Array, "B N D"]:
        """Update ``x`` by attention to ``source``."""
        query = _split_heads(self.q_proj(x), self.num_heads)
        key = _split_heads(self.k_proj(source), self.num_heads)
        value = _split_heads(self.v_proj(source), self.num_heads)
        message = linear_attention(query, key, value, x_mask, source_mask).reshape(x.shape)
        message = self.norm1(self.merge(message))
        message = self.norm2(self.mlp(jnp.concatenate([x, message], axis=-1)))
        return x + message


class PreNormLayer(nnx.Module):
    """A standard pre-norm layer: softmax attention, then a GELU perceptron, each added back."""

    def __init__(self, d_model: int, num_heads: int, *, rngs: nnx.Rngs) -> None:
        """Make a layer with random weights; ``num_heads`` must divide ``d_model``."""
        self.num_heads = num_heads
        self.q_proj = _linear(d_model, d_model, True, rngs)
        self.k_proj = _linear(d_model, d_model, True, rngs)
        self.v_proj = _linear(d_model, d_model, True, rngs)
        self.merge = _linear(d_model, d_model, True, rngs)
        self.mlp = nnx.Sequential(
            _linear(d_model, 4 * d_model, True, rngs),
            nnx.gelu,
            _linear(4 * d_model, d_model, True, rngs),
        )
        self.norm1 = _layer_norm(d_model, rngs)
        self.norm2 = _layer_norm(d_model, rngs)

    def __call__(
        self,
        x: Float[Array, "B N D"],
        source: Float[Array, "B M D"],
        x_mask: Mask = None,
        source_mask: Bool[Array, "B M"] | None = None,
    ) -> Float[Array, "B N D"]:
        """Update ``x`` by attention to ``source``. Masked tokens of ``x`` are updated too."""
        seen = self.norm1(source)
        query = _split_heads(self.q_proj(self.norm1(x)), self.num_heads)
        key = _split_heads(self.k_proj(seen), self.num_heads)
        value = _split_heads(self.v_proj(seen), self.num_heads)
        x = x + self.merge(softmax_attention(query, key, value, source_mask).reshape(x.shape))
        return x + self.mlp(self.norm2(x))


class LocalFeatureTransformer(nnx.Module):
    """LoFTR's transformer: ``num_layers`` layers, self and cross attention in turn."""

    def __init__(self, d_model: int, num_heads: int, num_layers: int, *, rngs: nnx.Rngs) -> None:
        """Make layers with random weights: 0, 2, … see the own image, 1, 3, … the other."""
        self.remat = False  # Training may set it: the backward pass then computes layers again.
        self.layers = nnx.List(
            LoFTREncoderLayer(d_model, num_heads, rngs=rngs) for _ in range(num_layers)
        )

    def __call__(
        self,
        feat0: Float[Array, "B N D"],
        feat1: Float[Array, "B M D"],
        mask0: Mask = None,
        mask1: Bool[Array, "B M"] | None = None,
    ) -> tuple[Float[Array, "B N D"], Float[Array, "B M D"]]:
        """Return both images' tokens, after attention to each other; masks are foreground."""
        return _alternate(_called(self.layers, self.remat), feat0, feat1, mask0, mask1)

    def alone(self, feat: Float[Array, "B N D"], mask: Mask = None) -> Float[Array, "B N D"]:
        """Return one print's tokens: every layer attends to the print itself."""
        for layer in _called(self.layers, self.remat):
            feat = layer(feat, feat, mask, mask)
        return feat


class SiameseTransformer(nnx.Module):
    """The generic counterpart of ``LocalFeatureTransformer``: pre-norm layers and a last norm."""

    def __init__(self, d_model: int, num_heads: int, num_layers: int, *, rngs: nnx.Rngs) -> None:
        """Make layers with random weights: 0, 2, … see the own image, 1, 3, … the other."""
        self.remat = False  # Training may set it: the backward pass then computes layers again.
        self.layers = nnx.List(
            PreNormLayer(d_model, num_heads, rngs=rngs) for _ in range(num_layers)
        )
        self.norm = _layer_norm(d_model, rngs)

    def __call__(
        self,
        feat0: Float[Array, "B N D"],
        feat1: Float[Array, "B M D"],
        mask0: Mask = None,
        mask1: Bool[Array, "B M"] | None = None,
    ) -> tuple[Float[Array, "B N D"], Float[Array, "B M D"]]:
        """Return both images' tokens, after attention to each other; masks are foreground."""
        feat0, feat1 = _alternate(_called(self.layers, self.remat), feat0, feat1, mask0, mask1)
        return self.norm(feat0), self.norm(feat1)

    def alone(self, feat: Float[Array, "B N D"], mask: Mask = None) -> Float[Array, "B N D"]:
        """Return one print's tokens: every layer attends to the print itself."""
        for layer in _called(self.layers, self.remat):
            feat = layer(feat, feat, mask, mask)
        return self.norm(feat)


def build_transformer(
    config: ModelConfig, *, rngs: nnx.Rngs
) -> LocalFeatureTransformer | SiameseTransformer:
    """Build the transformer that ``config.use_loftr`` asks for, with random weights."""
    kind = LocalFeatureTransformer if config.use_loftr else SiameseTransformer
    return kind(config.d_model, config.num_heads, config.num_layers, rngs=rngs)


def _called(layers: Iterable[Layer], remat: bool) -> list[Layer]:
    """Return the layers as functions; with ``remat`` nothing inside them is kept for gradients."""
    if not remat:
        return list(layers)
    return [partial(nnx.remat(type(layer).__call__), layer) for layer in layers]


def _alternate(
    layers: Iterable[Layer], feat0: Array, feat1: Array, mask0: Array | None, mask1: Array | None
) -> tuple[Array, Array]:
    """Apply layers: even ones attend to the own image, odd ones to the other, in both images."""
    for i, layer in enumerate(layers):
        if i % 2 == 0:
            feat0, feat1 = _self_layer(layer, feat0, feat1, mask0, mask1)
        else:
            # The order is LoFTR's: image 1 sees the image 0 that has just been updated.
            feat0 = layer(feat0, feat1, mask0, mask1)
            feat1 = layer(feat1, feat0, mask1, mask0)
    return feat0, feat1


def _self_layer(
    layer: Layer, feat0: Array, feat1: Array, mask0: Array | None, mask1: Array | None
) -> tuple[Array, Array]:
    if feat0.shape != feat1.shape or (mask0 is None) != (mask1 is None):
        return layer(feat0, feat0, mask0, mask0), layer(feat1, feat1, mask1, mask1)
    # In one batch: the same numbers from half as many, twice as large, operations.
    both = jnp.concatenate([feat0, feat1])
    mask = None if mask0 is None or mask1 is None else jnp.concatenate([mask0, mask1])
    feat0, feat1 = jnp.split(layer(both, both, mask, mask), 2)
    return feat0, feat1


def _linear(din: int, dout: int, use_bias: bool, rngs: nnx.Rngs) -> nnx.Linear:
    init = nnx.initializers.xavier_uniform()
    return nnx.Linear(din, dout, use_bias=use_bias, kernel_init=init, rngs=rngs)


def _layer_norm(d_model: int, rngs: nnx.Rngs) -> nnx.LayerNorm:
    # PyTorch's epsilon, and the variance in two passes: the fast form loses digits.
    return nnx.LayerNorm(d_model, epsilon=1e-5, use_fast_variance=False, rngs=rngs)


def _split_heads(x: Float[Array, "B N D"], heads: int) -> Float[Array, "B N heads d"]:
    return x.reshape(*x.shape[:2], heads, -1)
