"""The four pure calls by which the networks are used, and what goes in and comes out.

All arrays are NumPy arrays, so that callers need not know which engine computes: JAX
(:mod:`ifvit.runtime.jax_runtime`) or ONNX Runtime (:mod:`ifvit.runtime.onnx_runtime`).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from ifvit.config import ModelConfig

NOT_SENT = (
    "loaded weights cannot be copied or sent to another process: load them there, by ifvit.load; "
    "Features of prints can be sent"
)


class CellMatches(NamedTuple):
    """Which coarse cells of two prints show the same skin, for B pairs with N and M cells.

    It is Module 1's confidence matrix, reduced to what registration needs of it.
    """

    partner0: Int[np.ndarray, "B N"]
    """The partner of each cell of image 0: the index, row · w + column, of the cell of image 1 that
    fits it best, int32."""
    confidence0: Float[np.ndarray, "B N"]
    """Dual-softmax confidence of that partner, 0 to 1; 0 for masked cells."""
    position0: Float[np.ndarray, "B N 2"]
    """Where the partner lies, to a fraction of a cell: (column, row) in cells of image 1."""
    partner1: Int[np.ndarray, "B M"]
    """Index of the cell of image 0 that each cell of image 1 fits best, int32."""
    spread0: Float[np.ndarray, "B N"]
    """Scale of the Laplace distribution that Module 1 predicts for the error of ``position0``,
    given that the partner is right, in cells."""

    def mutual(self, threshold: float) -> Int[np.ndarray, "B N"]:
        """Return the partner of each cell of image 0 where both cells choose each other and the
        confidence is above ``threshold`` (0 to 1), otherwise -1, int32."""
        chosen_back = np.take_along_axis(self.partner1, self.partner0, axis=1)
        # Strictly above, so that masked cells, whose confidence is exactly 0, never match.
        accepted = (chosen_back == np.arange(self.partner0.shape[1])) & (
            self.confidence0 > threshold
        )
        return np.where(accepted, self.partner0, -1).astype(np.int32)


class CellPoses(NamedTuple):
    """Module 2's prediction of the pose of B prints as they were captured, cell by cell."""

    log_p: Float[np.ndarray, "B h w"]
    """Logarithm of the probability that the core lies in the cell; near -10,000 where none can."""
    offset: Float[np.ndarray, "B h w 2"]
    """Where in (or beside) the cell the core lies, (x, y) from the cell's centre, in cells."""
    up: Float[np.ndarray, "B h w 2"]
    """Cosine and sine of the finger's rotation against upright, x axis towards y axis, if the core
    lies in the cell. The shorter than 1 this vector is, the less certain is the rotation."""


class CodedPrints(NamedTuple):
    """Module 2's dense maps and index vectors of B prints, each drawn in its pose."""

    cells: Float[np.ndarray, "B h w K"]
    """The dense map: a unit vector for each cell of the foreground, 0 elsewhere."""
    index: Float[np.ndarray, "B E"]  # type: ignore[assignment]  # it hides tuple.index
    """The index vector: the whole print as one unit vector."""


@runtime_checkable
class Engine(Protocol):
    """What executes both modules; each call is a function of its arguments alone.

    Images are normalised and 0 outside the foreground, H and W multiples of 8, at the resolution of
    the checkpoint's ``ModelConfig.ppi``; masks mark the foreground's coarse cells. Batch size and
    canvas size are free. Each call raises ValueError for shapes that do not fit together.
    """

    config: ModelConfig
    dense_sha256: str
    """The sha256 of Module 1's weights: results computed with them are kept under this key."""
    matcher_sha256: str
    """The sha256 of Module 2's weights; empty where the engine has Module 1 alone."""

    def backbone(self, image: Float[np.ndarray, "B H W"]) -> Float[np.ndarray, "B h w D"]:
        """Return Module 1's feature maps of B prints, each to be reused for many comparisons."""
        ...

    def dense(
        self,
        features0: Float[np.ndarray, "B h0 w0 D"],
        features1: Float[np.ndarray, "B h1 w1 D"],
        mask0: Bool[np.ndarray, "B h0 w0"],
        mask1: Bool[np.ndarray, "B h1 w1"],
    ) -> CellMatches:
        """Match the cells of B pairs of feature maps by Module 1."""
        ...

    def pose(self, image: Float[np.ndarray, "B H W"], mask: Bool[np.ndarray, "B h w"]) -> CellPoses:
        """Look for the core of B prints as they were captured, by Module 2."""
        ...

    def code(
        self, image: Float[np.ndarray, "B H W"], mask: Bool[np.ndarray, "B h w"]
    ) -> CodedPrints:
        """Return dense maps and index vectors of B prints in their poses, by Module 2."""
        ...
