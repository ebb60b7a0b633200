"""Module 2: fixed-length embeddings of two prints, from a global and a local view of each.

After Qiu et al., IFViT, IEEE TIFS 2024: the global branch sees the enhanced, aligned overlap, the
local branch a region of interest of the original prints.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float

from ifvit.config import ModelConfig
from ifvit.models.backbone import ResNet18
from ifvit.models.coarse_matching import DenseMatchingHead
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


POOL_GRID = 4
"""Regions along each side of a view that are pooled apart."""


def _regions(cells: int) -> np.ndarray:
    """Return which of ``POOL_GRID`` regions each cell of a line belongs to: (regions, cells)."""
    edges = np.arange(POOL_GRID + 1) * cells / POOL_GRID
    low, high = np.floor(edges[:-1])[:, None], np.ceil(edges[1:])[:, None]
    at = np.arange(cells)
    return ((at >= low) & (at < high)).astype(np.float32)


def pool_tokens(feat: Float[Array, "B N D"], mask: Bool[Array, "B h w"]) -> Float[Array, "B P"]:
    """Pool a view's foreground tokens to one vector of P = (POOL_GRID² + 1) D numbers.

    The mean over each region of the view, then the maximum over all of it. The two prints are
    aligned, so that a region shows the same skin in both; one mean over the whole print would
    average away what tells two fingers of one class apart. Regions without foreground are 0.
    """
    batch, h, w = mask.shape
    rows, columns = _regions(h), _regions(w)
    kept = mask[..., None].astype(feat.dtype)
    cells = feat.reshape(batch, h, w, -1)
    total = jnp.einsum("ri,bijd,cj->brcd", rows, cells * kept, columns)
    count = jnp.einsum("ri,bijd,cj->brcd", rows, kept, columns)
    means = (total / jnp.maximum(count, 1)).reshape(batch, -1)
    maximum = jnp.where(mask[..., None], cells, -jnp.inf).max(axis=(1, 2))
    maximum = jnp.where(mask.any(axis=(1, 2))[:, None], maximum, 0.0)
    return jnp.concatenate([means, maximum], axis=-1)


def l2_normalise(x: Float[Array, "*B E"]) -> Float[Array, "*B E"]:
    """Scale vectors to length 1. The zero vector stays zero, and its gradient finite."""
    return x * lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), 1e-12))


class EmbeddingHead(nnx.Module):
    """Pooled tokens to a unit-length embedding; each branch has a projection of its own."""

    def __init__(self, d_model: int, embedding_dim: int, *, rngs: nnx.Rngs) -> None:
        """Random projections from pooled ``d_model`` channels to ``embedding_dim``."""
        pooled = (POOL_GRID**2 + 1) * d_model
        self.global_proj = nnx.Linear(pooled, embedding_dim, use_bias=False, rngs=rngs)
        self.local_proj = nnx.Linear(pooled, embedding_dim, use_bias=False, rngs=rngs)
        # What all prints have in common is most of a pooled vector. Without this, every cosine
        # starts at 0.99 and the losses have to unlearn it (Luo et al., "Bag of tricks and a
        # strong baseline for deep person re-identification", CVPRW 2019).
        norm = partial(nnx.BatchNorm, momentum=0.9, epsilon=1e-5, use_bias=False, rngs=rngs)
        self.global_norm = norm(embedding_dim)
        self.local_norm = norm(embedding_dim)

    def embed_global(self, pooled: Float[Array, "*B P"]) -> Float[Array, "*B E"]:
        """Embed pooled tokens of the global branch, of both prints at once."""
        return l2_normalise(self.global_norm(self.global_proj(pooled)))

    def embed_local(self, pooled: Float[Array, "*B P"]) -> Float[Array, "*B E"]:
        """Embed pooled tokens of the local branch, of both prints at once."""
        return l2_normalise(self.local_norm(self.local_proj(pooled)))


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
        # Both prints in one call, so that BatchNorm sees both alike.
        pooled_global = [
            pool_tokens(feat0, views.global_mask0),
            pool_tokens(feat1, views.global_mask1),
        ]
        pooled_local = [
            pool_tokens(local_feat0, views.local_mask0),
            pool_tokens(local_feat1, views.local_mask1),
        ]
        global0, global1 = self.EmbeddingHead.embed_global(jnp.stack(pooled_global))
        local0, local1 = self.EmbeddingHead.embed_local(jnp.stack(pooled_local))
        return MatcherOutput(
            global0=global0,
            global1=global1,
            local0=local0,
            local1=local1,
            log_p=self.DenseMatchingHead(feat0, feat1, global_mask0, global_mask1),
        )
