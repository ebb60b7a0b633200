"""The score of a pair: the evidence of Module 2's dense maps and of the registration, fused."""

from __future__ import annotations

from typing import NamedTuple

from ifvit.registration.evidence import Evidence

NOT_ALIGNED = -1.0
"""Score of two prints that cannot be aligned: the lowest that a cosine can be."""


class Fusion(NamedTuple):
    """Weights of the evidence from registration. Each lies in [0, 1], and so does their sum; the
    dense maps of Module 2 have the rest, up to 1."""

    ridge: float
    block: float
    match: float


FUSION = Fusion(ridge=0.25, block=0.05, match=0.20)
"""Chosen on FVC2004 DB1_B and FVC2000 DB2_B (``docs/results/development_sets.md``);
``benchmarks/fusion.py`` compares others, and models in their place. A decision file beside the
weights of the networks has its own, which are used instead."""


IN_DOUBT = (0.26, 0.5)
"""Scores from the first and below the second leave a pair in doubt, so that it is registered a
second time, from other looks. One impostor pair in thirteen has such a score
(``docs/results/development_sets.md``); above it no impostor pair comes near, and the few genuine
pairs below it gained nothing."""


def in_doubt(score: float) -> bool:
    """Return whether a pair with this score is registered a second time."""
    return IN_DOUBT[0] <= score < IN_DOUBT[1]


def pair_score(map_score: float, evidence: Evidence | None, fusion: Fusion) -> float:
    """Return the score of an aligned pair: dense maps, ridges and Module 1's matches fused.

    Without evidence it is the score of the maps. Raises ValueError for weights outside [0, 1].
    """
    weights = fusion._asdict()
    for name, weight in weights.items():
        _check_share(f"fusion_{name}", weight)
    rest = 1.0 - sum(weights.values())
    _check_share(" + ".join(f"fusion_{name}" for name in weights), 1.0 - rest)
    if evidence is None:
        return map_score
    both = zip(weights.values(), evidence, strict=True)
    weighed = sum(weight * value for weight, value in both)
    return rest * map_score + weighed


def _check_share(name: str, share: float) -> None:
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{name} must lie in [0, 1], not {share}")
