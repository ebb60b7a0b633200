"""What Module 2 is validated on: aligned pairs, and prints by themselves, of fingers held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from ifvit.comparison.score import FUSION
from ifvit.config import MatchConfig
from ifvit.evaluation.metrics import auc, eer
from ifvit.models.embedding import MatcherInput, MatcherModel
from ifvit.sources.aligned import AlignedBatch, AlignmentError
from ifvit.training.compute import as_used
from ifvit.training.devices import gathered
from ifvit.training.steps import fused_scores, match_views, stand_alone_embeddings


@runtime_checkable
class MatchSource(Protocol):
    """Whatever makes aligned pairs for Module 2."""

    def aligned(
        self, index: int, size: int, error: AlignmentError, template_ratio: float
    ) -> AlignedBatch:
        """Return batch ``index``, the same at every call."""
        ...


HeldViews = tuple[MatcherInput, np.ndarray]
"""Views of a batch of pairs, and which of them are genuine."""

HeldPrints = tuple[MatcherInput, np.ndarray]
"""Views of a batch of prints by themselves, and whose they are."""


def held_views(source: MatchSource, config: MatchConfig, pairs: int) -> list[HeldViews]:
    """Make the views to measure on, once for all epochs: at least ``pairs`` pairs."""
    error = AlignmentError(config.alignment_shift_px, config.alignment_rotation)
    made = []
    for index in range(-(-pairs // config.batch_size)):
        batch = source.aligned(index, config.batch_size, error, 0.0)
        made.append((match_views(batch, config.model)[0], np.asarray(batch.genuine)))
    return made


def held_templates(source: MatchSource, config: MatchConfig, prints: int) -> list[HeldPrints]:
    """Make the upright views of at least ``prints`` stand-alone prints, once for all epochs."""
    none, made = AlignmentError(0.0, 0.0), []
    size = 2 * config.batch_size  # prints come two by two
    for index in range(-(-prints // size)):
        batch = source.aligned(index, size, none, 1.0)
        made.append((match_views(batch, config.model)[0], np.asarray(batch.label0)))
    return made


def template_scores(
    model: MatcherModel, held: Sequence[HeldPrints]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the fused scores of all genuine and all impostor pairs of templates, in eval mode."""
    view, share = as_used(model), FUSION.global_share
    made = [(gathered(stand_alone_embeddings(view, views)), label) for views, label in held]
    embeddings, label = (np.concatenate(parts) for parts in zip(*made, strict=True))
    score = np.einsum("pbe,qbe,b->pq", embeddings, embeddings, [share, 1 - share])
    first, second = np.triu_indices(len(label), 1)
    score, genuine = score[first, second], label[first] == label[second]
    return score[genuine], score[~genuine]


def held_scores(model: MatcherModel, held: Sequence[HeldViews]) -> tuple[np.ndarray, np.ndarray]:
    """Return the fused scores of genuine and of impostor pairs, in eval mode."""
    view = as_used(model)
    found = [(gathered(fused_scores(view, v)), genuine) for v, genuine in held]
    score, genuine = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return score[genuine], score[~genuine]


def verification(model: MatcherModel, held: Sequence[HeldViews]) -> dict[str, float]:
    """Return ROC-AUC and EER of the fused score, in eval mode."""
    scores = held_scores(model, held)
    return {"auc": auc(*scores), "eer": eer(*scores)}
