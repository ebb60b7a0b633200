"""Module 2: fixed-length embeddings of two prints, from a global and a local view of each.

After Qiu et al., IFViT, IEEE TIFS 2024: the global branch sees the enhanced, aligned overlap, the
local branch a region of interest of the original prints.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float

from ifvit.config import ModelConfig
from ifvit.models.backbone import ResNet18
from ifvit.models.matching import DenseMatchingHead
from ifvit.models.tokens import flatten_mask, to_tokens
from ifvit.models.transformer import build_transformer


class MatcherInput(NamedTuple):
    """Two views of each print of B pairs; images normalised, masks of foreground cells."""

    global0: Float[Array, "B H W"]
    global1: Float[Array, "B H W"]
    global_mask0: Bool[Array, "B h w"]
    global_mask1: Bool[Array, "B h w"]
    local0: Float[Array, "B Hl Wl"]
    """The region of interest, padded to a multiple of 8."""
    local1: Float[Array, "B Hl Wl"]
    local_mask0: Bool[Array, "B hl wl"]
    local_mask1: Bool[Array, "B hl wl"]


class MatcherOutput(NamedTuple):
    """One unit-length embedding per print and branch, and the global branch's matches."""

    global0: Float[Array, "B E"]
    global1: Float[Array, "B E"]
    local0: Float[Array, "B E"]
    local1: Float[Array, "B E"]
    log_p: Float[Array, "B N M"]
    """Log dual-softmax confidence, float32; ``MASKED_LOG_P`` where a cell is masked."""


def pool_tokens(
    feat: Float[Array, "B N D"], mask: Bool[Array, "B N"] | None = None
) -> Float[Array, "B P"]:
    """Pool the foreground tokens to one vector of P = 2 D: their mean beside their maximum.

    The mean says how common a feature is over the print, the maximum that it occurs at all, which
    a mean over many cells hides. Without any foreground the result is 0.
    """
    keep = jnp.ones((*feat.shape[:2], 1), bool) if mask is None else mask[:, :, None]
    mean = jnp.where(keep, feat, 0.0).sum(axis=1) / jnp.maximum(keep.sum(axis=1), 1)
    maximum = jnp.where(keep, feat, -jnp.inf).max(axis=1)
    maximum = jnp.where(keep.any(axis=1), maximum, 0.0)
    return jnp.concatenate([mean, maximum], axis=-1)


def l2_normalise(x: Float[Array, "B E"]) -> Float[Array, "B E"]:
    """Scale vectors to length 1. The zero vector stays zero, and its gradient finite."""
    return x * lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), 1e-12))


class EmbeddingHead(nnx.Module):
    """Pooled tokens to a unit-length embedding; each branch has a projection of its own."""

    def __init__(self, d_model: int, embedding_dim: int, *, rngs: nnx.Rngs) -> None:
        """Random projections from pooled ``d_model`` channels to ``embedding_dim``."""
        self.global_proj = nnx.Linear(2 * d_model, embedding_dim, rngs=rngs)
        self.local_proj = nnx.Linear(2 * d_model, embedding_dim, rngs=rngs)

    def embed_global(
        self, feat: Float[Array, "B N D"], mask: Bool[Array, "B N"] | None = None
    ) -> Float[Array, "B E"]:
        """Embed the tokens of the global branch."""
        return l2_normalise(self.global_proj(pool_tokens(feat, mask)))

    def embed_local(
        self, feat: Float[Array, "B N D"], mask: Bool[Array, "B N"] | None = None
    ) -> Float[Array, "B E"]:
        """Embed the tokens of the local branch."""
        return l2_normalise(self.local_proj(pool_tokens(feat, mask)))


class MatcherModel(nnx.Module):
    """ResNet-18 and transformer in two branches, embeddings, and dense matches beside them.

    With ``share_global_local`` both branches call ``loftr_transformer_global``; otherwise there
    is a ``loftr_transformer_local`` too.
    """

    def __init__(
        self, config: ModelConfig, *, share_global_local: bool = True, rngs: nnx.Rngs
    ) -> None:
        """Random weights; Module 1's transformer comes by :mod:`ifvit.weights.transfer`."""
        self.config = config
        self.share_global_local = share_global_local
        self.ResNet18 = ResNet18(config.backbone_widths, config.d_model, rngs=rngs)
        self.loftr_transformer_global = build_transformer(config, rngs=rngs)
        if not share_global_local:
            self.loftr_transformer_local = build_transformer(config, rngs=rngs)
        self.EmbeddingHead = EmbeddingHead(config.d_model, config.embedding_dim, rngs=rngs)
        self.DenseMatchingHead = DenseMatchingHead(config.d_model, config.temperature, rngs=rngs)

    def __call__(self, views: MatcherInput) -> MatcherOutput:
        """Embed and match B pairs; the same print twice gives a stand-alone template.

        Raises ValueError for images that are no multiple of 8 or masks that are not of cells.
        """
        global_map0, global_map1, local_map0, local_map1 = self.ResNet18(
            views.global0, views.global1, views.local0, views.local1
        )
        global_mask0 = flatten_mask(views.global_mask0, global_map0)
        global_mask1 = flatten_mask(views.global_mask1, global_map1)
        local_mask0 = flatten_mask(views.local_mask0, local_map0)
        local_mask1 = flatten_mask(views.local_mask1, local_map1)

        fix = self.config.temp_bug_fix
        feat0, feat1 = self.loftr_transformer_global(
            to_tokens(global_map0, fix), to_tokens(global_map1, fix), global_mask0, global_mask1
        )
        local_transformer = (
            self.loftr_transformer_global
            if self.share_global_local
            else self.loftr_transformer_local
        )
        local_feat0, local_feat1 = local_transformer(
            to_tokens(local_map0, fix), to_tokens(local_map1, fix), local_mask0, local_mask1
        )
        return MatcherOutput(
            global0=self.EmbeddingHead.embed_global(feat0, global_mask0),
            global1=self.EmbeddingHead.embed_global(feat1, global_mask1),
            local0=self.EmbeddingHead.embed_local(local_feat0, local_mask0),
            local1=self.EmbeddingHead.embed_local(local_feat1, local_mask1),
            log_p=self.DenseMatchingHead(feat0, feat1, global_mask0, global_mask1),
        )
