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


def pair_score(
    embedding_score: float,
    ridge_ncc: float | None,
    match_share: float | None,
    fusion_ridge: float,
    fusion_match: float,
) -> float:
    """Return the score of an aligned pair: embeddings, ridges and Module 1's matches together.

    The weights lie in [0, 1], and so does their sum; the embeddings have the rest. Without a
    correlation and a share their score stands. Raises ValueError for other weights.
    """
    _check_share("fusion_ridge", fusion_ridge)
    _check_share("fusion_match", fusion_match)
    _check_share("fusion_ridge + fusion_match", fusion_ridge + fusion_match)
    if ridge_ncc is None or match_share is None:
        return embedding_score
    rest = 1.0 - fusion_ridge - fusion_match
    return rest * embedding_score + fusion_ridge * ridge_ncc + fusion_match * match_share


def _check_share(name: str, share: float) -> None:
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{name} must lie in [0, 1], not {share}")
