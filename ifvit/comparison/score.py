"""Scores of a pair: how alike the global and the local embeddings are, and both together."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ifvit.models.embedding import MatcherOutput
from ifvit.registration.evidence import Evidence

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


def scores(output: MatcherOutput, global_share: float) -> Scores:
    """Score pairs from Module 2's embeddings; ``global_share`` in [0, 1] weighs the global one.

    Raises ValueError for a weight outside [0, 1].
    """
    _check_share("global_share", global_share)
    global_score = cosine(output.global0, output.global1)
    local_score = cosine(output.local0, output.local1)
    fused = global_share * global_score + (1.0 - global_share) * local_score
    return Scores(global_score, local_score, fused)


class Fusion(NamedTuple):
    """Weights of what is known of an aligned pair.

    Those of ridges, blocks and matches lie in [0, 1], and so does their sum; the embeddings have
    the rest, of which the global one has its share, and the local one what is left.
    """

    ridge: float
    block: float
    match: float
    global_share: float

    @property
    def evidence(self) -> dict[str, float]:
        """Return the weights of an alignment's evidence, in the order of ``Evidence``."""
        return {"ridge": self.ridge, "block": self.block, "match": self.match}


FUSION = Fusion(ridge=0.35, block=0.15, match=0.40, global_share=0.6)
"""No worse than the weights without blocks on any set that was looked at, and better on pulled
prints (``docs/results/development_sets.md``); ``benchmarks/fusion.py`` finds a table's best."""


def pair_score(embedding_score: float, evidence: Evidence | None, fusion: Fusion) -> float:
    """Return the score of an aligned pair: embeddings, ridges and Module 1's matches together.

    Without evidence the embeddings' score stands. Raises ValueError for weights that are no shares.
    """
    weights = fusion.evidence
    for name, weight in weights.items():
        _check_share(f"fusion_{name}", weight)
    rest = 1.0 - sum(weights.values())
    _check_share(" + ".join(f"fusion_{name}" for name in weights), 1.0 - rest)
    if evidence is None:
        return embedding_score
    both = zip(weights.values(), evidence, strict=True)
    weighed = sum(weight * value for weight, value in both)
    return rest * embedding_score + weighed


def _check_share(name: str, share: float) -> None:
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{name} must lie in [0, 1], not {share}")
