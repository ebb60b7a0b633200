"""Hypotheses and what the ridges made of them, to one Alignment a pair."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.geometry.field import Displacement
from ifvit.geometry.grid import frame_side
from ifvit.geometry.transforms import angle_of, apply
from ifvit.registration.align import AlignConfig
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
) -> list[Alignment]:
    """Return the alignment of each of P pairs, refined where Module 1 placed it at all.

    All hypotheses of a pair lie at one place then: it is the one whose matches say so too.
    """
    fields = np.asarray(refined.displacement, float)
    H = np.asarray(refined.H_0to1, float)
    placed = apply(H, centres + fields.reshape(-1, *centres.shape))
    away = np.linalg.norm(placed[:, None] - found.points1, axis=-1)
    matched = found.confidence > 0
    borne_out, near = (matched & (away <= px) for px in (settings.inlier_px, settings.near_px))
    made = []
    for row, usable in enumerate(found.num_inliers[:, 0] >= 3):
        inliers = borne_out[row] if usable else found.inliers[row]
        best = int(inliers.sum(axis=-1).argmax())
        kept, agree = matched[row, best], inliers[best]
        points1 = found.points1[row, best]
        if usable:
            # A match within reach of where the ridges place it is there, to a fraction of a cell.
            points1 = np.where(agree[:, None], placed[row], points1)
        field = fields[row] if usable else found.displacement[row, best]
        bent = usable or found.bent[row, best]
        transform = H[row] if usable else found.H_0to1[row, best]
        made.append(
            Alignment(
                ok=True,
                reason="",
                H_0to1=transform,
                points0=centres[kept],
                points1=points1[kept],
                confidence=found.confidence[row, best][kept],
                inliers=agree[kept],
                angle=angle_of(transform),
                displacement=Displacement.of_frames(field, config) if bent else None,
                **(_evidence(found, refined, near, (row, best), config) if usable else {}),
            )
        )
    return made


def _evidence(
    found: Hypotheses,
    refined: Refined,
    near: np.ndarray,
    at: tuple[int, int],
    config: ModelConfig,
) -> dict[str, float]:
    """Return what ridges, blocks and matches say of one pair."""
    row, _ = at
    overlap = float(refined.overlap[row])
    # By confidence: cells that agree because a field can be bent to them are unsure of it. An
    # overlap too small to be searched says as little with every cell of it matched.
    share = float(found.confidence[at][near[at]].sum()) / (
        max(overlap, MIN_OVERLAP) * near.shape[-1]
    )
    side_mm = frame_side(config) * 25.4 / REFERENCE_PPI
    return {
        "ridge_ncc": float(refined.ncc[row]),
        "block_share": block_share(np.asarray(refined.block_ncc[row])),
        "match_share": min(1.0, share),
        "overlap_mm2": overlap * side_mm**2,
    }
