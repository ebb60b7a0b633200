"""What a match came to, in one record that can be drawn, printed and kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ifvit.config import REFERENCE_PPI
from ifvit.pipeline.align import Alignment


@dataclass(frozen=True)
class MatchResult:
    """What a match came to, and what it was decided by.

    ``status`` is ``ok`` or ``not_aligned``; then ``reason`` says why, ``score`` is -1 and the
    branches' scores are None. Scores are in [-1, 1]: the embeddings' cosines, and the correlation
    of the aligned ridges; ``score`` fuses them, and is the one to decide by.
    ``alignment`` is in pixels of ``image0`` and ``image1``, the canvases (S, S) at 500 ppi. ``roi``
    is the local branch's square in image 0: x, y, side.
    """

    status: str
    reason: str
    score: float
    global_score: float | None
    local_score: float | None
    ridge_score: float | None
    num_matches: int
    num_inliers: int
    alignment: Alignment
    image0: Float[np.ndarray, "S S"]
    image1: Float[np.ndarray, "S S"]
    roi: tuple[int, int, int] | None
    name0: str = ""
    name1: str = ""

    @property
    def ok(self) -> bool:
        """Return whether the prints could be aligned and compared."""
        return self.status == "ok"

    def summary(self) -> str:
        """Return the result in one line."""
        counts = f"{self.num_inliers} of {self.num_matches} matching cells agree"
        ridges = "" if self.ridge_score is None else f", ridges {self.ridge_score:.3f}"
        if self.global_score is None or self.local_score is None:
            return f"not aligned: {self.reason}"
        return (
            f"score {self.score:.3f} (global {self.global_score:.3f}, local "
            f"{self.local_score:.3f}{ridges}); {counts}, turned by {self.alignment.angle:.1f}°"
        )

    def to_json(self) -> str:
        """Return everything but the images as JSON; positions in canvas pixels at 500 ppi."""
        values: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                *("name0", "name1", "status", "reason", "score", "global_score", "local_score"),
                *("ridge_score", "num_matches", "num_inliers", "roi"),
            )
        }
        found = self.alignment
        values["alignment"] = {
            "ppi": REFERENCE_PPI,
            "angle": round(found.angle, 3),
            "H_0to1": np.round(found.H_0to1, 6).tolist(),
            "points0": np.round(found.points0, 2).tolist(),
            "points1": np.round(found.points1, 2).tolist(),
            "confidence": np.round(found.confidence.astype(float), 4).tolist(),
            "inliers": found.inliers.tolist(),
        }
        return json.dumps(values, allow_nan=False)
