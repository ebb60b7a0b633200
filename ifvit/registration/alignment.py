"""How one print lies on another: the result of registration.

Transforms are 2×3 similarity matrices (:mod:`ifvit.geometry.transforms`): during registration in
pixels (x, y) of the frames, in results in pixels of the prints at 500 ppi.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ifvit.config import REFERENCE_PPI
from ifvit.geometry.field import Displacement
from ifvit.geometry.grid import Frame
from ifvit.geometry.transforms import apply, compose, invert
from ifvit.registration.evidence import Evidence


@dataclass(frozen=True, eq=False)
class Alignment:
    """How image 0 lies on image 1: K correspondences and the similarity that most agree with.

    ``points0``, ``points1`` (K, 2) are in the prints' pixels at 500 ppi, ``confidence``
    (K,) in [0, 1], ``inliers`` (K,) bool; ``angle`` is the rotation of ``H_0to1`` in degrees, from
    the x axis towards the y axis. Where ``ok`` is False, ``reason`` says why, and ``H_0to1`` and
    ``inliers`` are the best that was found (the identity and no inliers, if nothing was).
    """

    ok: bool
    reason: str
    H_0to1: Float[np.ndarray, "2 3"]
    points0: Float[np.ndarray, "K 2"]
    points1: Float[np.ndarray, "K 2"]
    confidence: Float[np.ndarray, " K"]
    inliers: Bool[np.ndarray, " K"]
    angle: float
    displacement: Displacement | None = None
    """The skin's distortion, found by the matches and then refined by the ridges."""
    ridge_ncc: float | None = None
    """Correlation of the enhanced ridges over the overlap, distortion removed, in [-1, 1]."""
    block_share: float | None = None
    """Share of the overlap's blocks whose ridges agree, each where its own skin lies, in [0, 1]."""
    coverage: float | None = None
    """Confidence per coarse cell of the overlap, summed over the matches that lie within a third of
    a cell of where the alignment puts them, in [0, 1]."""
    overlap_mm2: float | None = None
    """Area that shows ridges in both prints, square millimetres of the finger."""

    @property
    def evidence(self) -> Evidence | None:
        """Return the evidence on the pair; None where ridges were not laid on ridges."""
        found = self.ridge_ncc, self.block_share, self.coverage
        return None if None in found else Evidence(*found)  # type: ignore[arg-type]

    @property
    def num_inliers(self) -> int:
        """Return how many correspondences agree with ``H_0to1``."""
        return int(self.inliers.sum())

    def place(self, points: Float[np.ndarray, "K 2"]) -> Float[np.ndarray, "K 2"]:
        """Return where points of image 0 lie in image 1, the skin's distortion included."""
        if self.displacement is not None:
            points = points + self.displacement.at(points)
        return apply(self.H_0to1, points)

    def transposed(self) -> Alignment:
        """Return how image 1 lies on image 0: the same correspondences, the other way round."""
        field = self.displacement
        return replace(
            self,
            H_0to1=invert(self.H_0to1),
            points0=self.points1,
            points1=self.points0,
            angle=-self.angle,
            displacement=None if field is None else field.inverse(self.H_0to1),
        )

    def on_prints(self, frame0: Frame, frame1: Frame) -> Alignment:
        """Return an alignment of two frames as one of their prints, pixels at 500 ppi."""
        field, area = self.displacement, self.overlap_mm2
        matrix0, matrix1 = frame0.matrix, frame1.matrix
        points0, points1 = frame0.on_print(self.points0), frame1.on_print(self.points1)
        return replace(
            self,
            H_0to1=compose(compose(matrix1, self.H_0to1), invert(matrix0)),
            points0=points0,
            points1=points1,
            displacement=None if field is None else field.on_prints(frame0, frame1),
            overlap_mm2=None if area is None else area / frame0.scale**2,
        )

    def record(self) -> dict[str, Any]:
        """Return the transform and the correspondences as plain lists, for JSON."""
        return {
            "ppi": REFERENCE_PPI,
            "angle": round(self.angle, 3),
            "H_0to1": np.round(self.H_0to1, 6).tolist(),
            "points0": np.round(self.points0, 2).tolist(),
            "points1": np.round(self.points1, 2).tolist(),
            "confidence": np.round(self.confidence.astype(float), 4).tolist(),
            "inliers": self.inliers.tolist(),
        }
