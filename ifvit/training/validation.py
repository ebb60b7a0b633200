"""Validation of Module 2: prints of held-out fingers, each compared with every other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ifvit.comparison.print_similarity import map_similarity
from ifvit.evaluation.metrics import eer
from ifvit.models.embedding import MatcherModel
from ifvit.sources.posed import PrintBatch
from ifvit.training.devices import gathered
from ifvit.training.gradients import as_used
from ifvit.training.print_steps import core_cells, on_canvas, print_codes

NEAR_PX, NEAR_DEGREES = 16.0, 10.0
"""Largest errors of a pose that counts as found: one cell at 250 ppi, by which the comparison of
maps shifts, and degrees."""

Scores = tuple[np.ndarray, np.ndarray]
"""The scores of all genuine pairs, and of all impostor pairs."""


@dataclass(frozen=True)
class Verification:
    """The scores and poses that a model gives for validation prints."""

    maps: Scores
    """Similarity of dense maps."""
    indices: Scores
    """Cosine of index vectors."""
    pose: float
    """Share of prints whose pose is within :data:`NEAR_PX` and :data:`NEAR_DEGREES` of the true
    one, among those whose core is on the canvas."""

    def metrics(self) -> dict[str, float]:
        """Return equal error rates and the share of poses."""
        found = {"eer": eer(*self.maps), "index_eer": eer(*self.indices), "pose": self.pose}
        return {f"val_{name}": value for name, value in found.items()}


def verify(model: MatcherModel, held: Sequence[PrintBatch]) -> Verification:
    """Compare all validation prints, as the batches lay them, with each other, in eval mode."""
    view = as_used(model)
    near, cells, index, masks, labels = [], [], [], [], []
    for batch in held:
        pose, *code = print_codes(view, batch)
        counted = gathered(on_canvas(core_cells(batch, model.config), model.config))
        truth = gathered(batch.pose.core), gathered(batch.pose.rotation)
        near.append(_near(gathered(pose.core), gathered(pose.rotation), *truth)[counted])
        cells.append(gathered(code[0]))
        index.append(gathered(code[1]))
        masks.append(gathered(batch.posed_mask))
        labels.append(gathered(batch.label))
    maps, mask, vectors, label = map(np.concatenate, (cells, masks, index, labels))
    found = np.concatenate(near)
    return Verification(
        _of_pairs(np.asarray(map_similarity(maps, mask, maps, mask)), label),
        _of_pairs(vectors @ vectors.T, label),
        float(found.mean()) if found.size else 0.0,
    )


def _near(
    core: Float[np.ndarray, "B 2"],
    rotation: Float[np.ndarray, " B"],
    true_core: Float[np.ndarray, "B 2"],
    true_rotation: Float[np.ndarray, " B"],
) -> Bool[np.ndarray, " B"]:
    """Return which poses are near enough to the true ones; pixels and radians."""
    apart = np.linalg.norm(core - true_core, axis=1)
    turned = np.abs(np.angle(np.exp(1j * (rotation - true_rotation))))
    return (apart <= NEAR_PX) & (np.rad2deg(turned) <= NEAR_DEGREES)


def _of_pairs(similarity: Float[np.ndarray, "P P"], label: np.ndarray) -> Scores:
    """Return the genuine and the impostor ones of the similarities of all prints."""
    first, second = np.triu_indices(len(label), 1)
    score, genuine = similarity[first, second], label[first] == label[second]
    return score[genuine], score[~genuine]
