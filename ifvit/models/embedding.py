"""Module 2: the code of one print, fixed in length, from the print in its own pose.

It follows Qiu et al., IFViT, IEEE TIFS 2024, whose global branch pools a print to one vector. Here
that branch also keeps positions: a grid of cells, a few numbers each, which are compared cell by
cell.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float

from ifvit.config import CELL_DIM, ModelConfig
from ifvit.models.backbone import ResNet18
from ifvit.models.coarse_matching import DenseMatchingHead
from ifvit.models.dense_reg import matched_maps
from ifvit.models.pose_head import PoseHead, PoseMap
from ifvit.models.tokens import flatten_mask, to_tokens
from ifvit.models.transformer import build_transformer


class PrintCode(NamedTuple):
    """The codes of B prints in their poses."""

    cells: Float[Array, "B h w K"]
    """The dense map: a unit vector for each cell of the foreground, 0 elsewhere."""
    index: Float[Array, "B E"]  # type: ignore[assignment]  # it hides tuple.index
    """The index vector: the whole print as one unit vector."""
    feature_map: Float[Array, "B h w D"]
    """The backbone's map, before the transformer: for dense matches between two prints."""


POOL_GRID = 4
"""Number of regions along each side of a view that are pooled separately."""


def _regions(cells: int) -> np.ndarray:
    """Return which of ``POOL_GRID`` regions each cell of a line belongs to: (regions, cells)."""
    edges = np.arange(POOL_GRID + 1) * cells / POOL_GRID
    low, high = np.floor(edges[:-1])[:, None], np.ceil(edges[1:])[:, None]
    at = np.arange(cells)
    return ((at >= low) & (at < high)).astype(np.float32)


def pool_tokens(feat: Float[Array, "B N D"], mask: Bool[Array, "B h w"]) -> Float[Array, "B P"]:
    """Pool a view's foreground tokens to one vector of P = (POOL_GRID² + 1) D numbers.

    The vector holds the mean over each region of the view, then the maximum over the whole view.
    Prints lie in their poses, so that a region shows the same skin in two of them; one mean over
    the whole print would average away the differences between fingers of one class. Regions without
    foreground are 0.
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
    """Project the features of backbone and transformer to the dense map and the index vector."""

    def __init__(self, width: int, embedding_dim: int, *, rngs: nnx.Rngs) -> None:
        """Make random projections from ``width`` channels."""
        self.cell_proj = nnx.Linear(width, CELL_DIM, use_bias=False, rngs=rngs)
        pooled = (POOL_GRID**2 + 1) * width
        self.index_proj = nnx.Linear(pooled, embedding_dim, use_bias=False, rngs=rngs)
        # Most of a vector is common to all prints. Without this, every cosine starts at
        # 0.99 and the losses have to unlearn it (Luo et al., "Bag of tricks and a strong baseline
        # for deep person re-identification", CVPRW 2019).
        norm = partial(nnx.BatchNorm, momentum=0.9, epsilon=1e-5, use_bias=False, rngs=rngs)
        self.cell_norm, self.index_norm = norm(CELL_DIM), norm(embedding_dim)

    def __call__(
        self, features: Float[Array, "B h w W"], mask: Bool[Array, "B h w"]
    ) -> tuple[Float[Array, "B h w K"], Float[Array, "B E"]]:
        """Return dense maps and index vectors."""
        cells = self.cell_proj(features)
        cells = l2_normalise(self.cell_norm(cells, mask=mask[..., None])) * mask[..., None]
        batch, h, w, _ = features.shape
        pooled = pool_tokens(features.reshape(batch, h * w, -1), mask)
        return cells, l2_normalise(self.index_norm(self.index_proj(pooled)))


class MatcherModel(nnx.Module):
    """Backbone and pose head; for the print in its pose, transformer, dense map, index vector."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        """Make the networks with random weights; :mod:`ifvit.weights.transfer` copies Module
        1's."""
        self.config = config
        width = config.d_model
        self.ResNet18 = ResNet18(config.backbone_widths, width, rngs=rngs)
        self.loftr_transformer_global = build_transformer(config, rngs=rngs)
        self.DenseMatchingHead = DenseMatchingHead(width, config.temperature, rngs=rngs)
        self.PoseHead = PoseHead(width, rngs=rngs)
        self.EmbeddingHead = EmbeddingHead(2 * width, config.embedding_dim, rngs=rngs)

    def __call__(
        self,
        loose: Float[Array, "B H W"],
        loose_mask: Bool[Array, "B h w"],
        posed: Float[Array, "B H W"],
        posed_mask: Bool[Array, "B h w"],
    ) -> tuple[PoseMap, PrintCode]:
        """Return the pose of prints as they were captured, and the code of the same in their poses.

        Images are normalised, 0 outside the foreground; masks are of coarse cells. Both views go
        through the backbone in one call, so that they share its batch statistics.
        """
        loose_map, posed_map = self.ResNet18(loose, posed)
        return self.PoseHead(loose_map, loose_mask), self.code(posed_map, posed_mask)

    def pose(self, loose: Float[Array, "B H W"], mask: Bool[Array, "B h w"]) -> PoseMap:
        """Look for the core of prints as they were captured."""
        (loose_map,) = self.ResNet18(loose)
        return self.PoseHead(loose_map, mask)

    def encode(self, posed: Float[Array, "B H W"], mask: Bool[Array, "B h w"]) -> PrintCode:
        """Return the code of prints in their poses."""
        (posed_map,) = self.ResNet18(posed)
        return self.code(posed_map, mask)

    def code(self, posed_map: Float[Array, "B h w D"], mask: Bool[Array, "B h w"]) -> PrintCode:
        """Return the code of prints from the backbone's maps of them."""
        kept = flatten_mask(mask, posed_map)
        tokens = to_tokens(posed_map, self.config.temp_bug_fix)
        feat = self.loftr_transformer_global.alone(tokens, kept)
        both = jnp.concatenate([posed_map, feat.reshape(posed_map.shape)], axis=-1)
        return PrintCode(*self.EmbeddingHead(both, mask), posed_map)

    def match_maps(
        self,
        map0: Float[Array, "B h w D"],
        map1: Float[Array, "B h w D"],
        mask0: Bool[Array, "B h w"],
        mask1: Bool[Array, "B h w"],
    ) -> Float[Array, "B N M"]:
        """Return the dense matches of pairs as log confidence, in the form of Module 1's."""
        fix = self.config.temp_bug_fix
        modules = self.loftr_transformer_global, self.DenseMatchingHead
        return matched_maps(*modules, (map0, map1), (mask0, mask1), fix).log_p
