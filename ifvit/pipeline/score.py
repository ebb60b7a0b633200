"""Scores of a pair: how alike the global and the local embeddings are, and both together."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ifvit.models.matcher import MatcherOutput

NOT_ALIGNED = -1.0
"""Score of two prints that cannot be aligned: the lowest that a cosine can be."""


class Scores(NamedTuple):
    """Similarities (B,) in [-1, 1]; ``fused`` is the one to decide by."""

    global_score: Float[Array, " B"]
    local_score: Float[Array, " B"]
    fused: Float[Array, " B"]


def cosine(a: Float[Array, "B E"], b: Float[Array, "B E"]) -> Float[Array, " B"]:
    """Return the cosine between L2-normalised embeddings, kept in [-1, 1] against rounding."""
    return jnp.clip(jnp.einsum("be,be->b", a, b, precision="highest"), -1.0, 1.0)


def scores(output: MatcherOutput, fusion_global: float) -> Scores:
    """Score pairs from Module 2's embeddings; ``fusion_global`` in [0, 1] weighs the global one.

    Raises ValueError for a weight outside [0, 1].
    """
    _check_share("fusion_global", fusion_global)
    global_score = cosine(output.global0, output.global1)
    local_score = cosine(output.local0, output.local1)
    fused = fusion_global * global_score + (1.0 - fusion_global) * local_score
    return Scores(global_score, local_score, fused)


def with_ridges(embedding_score: float, ridge_ncc: float | None, fusion_ridge: float) -> float:
    """Return the score of an aligned pair: the embeddings' and the ridges' together.

    ``fusion_ridge`` in [0, 1] weighs the ridges; without a correlation the embeddings' score
    stands. Raises ValueError for a weight outside [0, 1].
    """
    _check_share("fusion_ridge", fusion_ridge)
    if ridge_ncc is None:
        return embedding_score
    return (1.0 - fusion_ridge) * embedding_score + fusion_ridge * ridge_ncc


def _check_share(name: str, share: float) -> None:
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{name} must lie in [0, 1], not {share}")
