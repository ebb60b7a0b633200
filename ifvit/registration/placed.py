"""From hypotheses, and the placement that the ridges refined, to one Alignment."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.geometry.field import Displacement
from ifvit.geometry.transforms import angle_of, apply
from ifvit.registration.align import AlignConfig, AlignedRule, judged
from ifvit.registration.alignment import Alignment
from ifvit.registration.correlate import MIN_OVERLAP
from ifvit.registration.evidence import block_share
from ifvit.registration.hypotheses import Hypotheses
from ifvit.registration.refine import Refined


def placed_by_ridges(
    found: Hypotheses,
    refined: Refined,
    centres: Float[np.ndarray, "N 2"],
    config: ModelConfig,
    settings: AlignConfig,
    rule: AlignedRule,
) -> Alignment:
    """Return the alignment of a pair, refined where Module 1 placed it at all, and judged.

    The ridges decide the placement; the matches are those of the hypothesis that fits it best.
    """
    usable = bool(found.num_inliers[0] >= 3)
    inliers = found.inliers
    placed = apply(refined.H_0to1, centres + refined.displacement.reshape(-1, 2))
    away = np.linalg.norm(placed - found.points1, axis=-1)
    if usable:
        inliers = (found.confidence > 0) & (away <= settings.inlier_px)
    best = int(inliers.sum(axis=-1).argmax())
    kept, points1 = found.confidence[best] > 0, found.points1[best]
    H, field, bent, evidence = found.H_0to1[best], found.displacement[best], found.bent[best], {}
    if usable:
        # A match near where the ridges place its cell lies there, to a fraction of a cell.
        points1 = np.where(inliers[best][:, None], placed, points1)
        H, field, bent = refined.H_0to1, refined.displacement, True
        near = kept & (away[best] <= settings.near_px)
        evidence = _evidence(found.confidence[best], near, refined, centres)
    alignment = Alignment(
        ok=True,
        reason="",
        H_0to1=H,
        points0=centres[kept],
        points1=points1[kept],
        confidence=found.confidence[best][kept],
        inliers=inliers[best][kept],
        angle=angle_of(H),
        displacement=Displacement.of_frames(field, config) if bent else None,
        **evidence,
    )
    return judged(alignment, rule)


def _evidence(
    confidence: Float[np.ndarray, " N"],
    near: Bool[np.ndarray, " N"],
    refined: Refined,
    centres: Float[np.ndarray, "N 2"],
) -> dict[str, float]:
    """Return the evidence of ridges, blocks and the matches that are ``near``, for an alignment."""
    # By confidence: cells that agree only because the field bends to them have little of it. An
    # overlap too small to be searched counts for little even with all of its cells matched.
    share = float(confidence[near].sum()) / (max(refined.overlap, MIN_OVERLAP) * len(near))
    side_mm = float(centres[0, 0] + centres[-1, 0] + 1) * 25.4 / REFERENCE_PPI
    return {
        "ridge_ncc": refined.ncc,
        "block_share": block_share(refined.block_ncc),
        "coverage": min(1.0, share),
        "overlap_mm2": refined.overlap * side_mm**2,
    }
