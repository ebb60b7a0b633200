"""Pictures of what Module 1 finds in validation, for TensorBoard."""

from __future__ import annotations

import numpy as np
from flax import nnx
from jaxtyping import Array

from ifvit.config import STRIDE
from ifvit.evaluation.plots import match_plot
from ifvit.models.coarse_matching import mutual_matches
from ifvit.models.dense_reg import DenseRegModel
from ifvit.sources.truth import PairBatch
from ifvit.training.devices import gathered
from ifvit.training.gradients import as_used

SHOWN = 2
"""Number of pairs that are drawn."""

THRESHOLD = 0.1
"""Confidence from which on a match is drawn: low, since the first epochs have little of it."""


@nnx.jit
def _found(model: DenseRegModel, batch: PairBatch) -> Array:
    log_p = model(batch.image0, batch.image1, batch.mask0, batch.mask1).log_p
    return mutual_matches(log_p, THRESHOLD)[0]


def match_pictures(model: DenseRegModel, batch: PairBatch) -> dict[str, bytes]:
    """Draw the mutual matches of a batch's first pairs: blue within one cell of the truth; PNG."""
    found = gathered(_found(as_used(model), batch))
    truth, image0, image1 = (gathered(a) for a in (batch.matches0, batch.image0, batch.image1))
    columns = image1.shape[2] // STRIDE
    drawn = {}
    for pair in range(min(SHOWN, len(found))):
        cells0 = np.flatnonzero(found[pair] >= 0)
        points0, points1 = _places(cells0, columns), _places(found[pair][cells0], columns)
        apart = np.abs(points1 - _places(truth[pair][cells0], columns)).max(axis=1)
        right = (truth[pair][cells0] >= 0) & (apart <= STRIDE)
        lines = np.stack([points0, points1], axis=1)
        drawn[f"matches/{pair}"] = match_plot(image0[pair], image1[pair], lines, right)
    return drawn


def _places(cells: np.ndarray, columns: int) -> np.ndarray:
    """Return the centres (K,2) of cells, x and y in canvas pixels."""
    return np.stack([cells % columns, cells // columns], axis=1) * STRIDE + (STRIDE - 1) / 2
