"""A folder of real prints as a training source; batch ``i`` is a pure function of (seed, i)."""

from __future__ import annotations

import logging

import jax
import jax.numpy as jnp
import numpy as np

from ifvit.config import DenseConfig, ModelConfig
from ifvit.data.prints import Print
from ifvit.data.readers import read_dataset, split_fingers
from ifvit.data.store import Canvases, read_canvases
from ifvit.sources.augment import corruption_batch, source_side
from ifvit.sources.truth import PairBatch

logger = logging.getLogger("ifvit")


class CorruptionPairs:
    """Module 1's source over a folder: each print against its own corrupted copy."""

    def __init__(
        self,
        prints: Canvases,
        model: ModelConfig,
        *,
        seed: int,
        max_rotation: float,
        impostor_ratio: float,
        turn: float = 0.0,
    ) -> None:
        """``prints`` have the side of :func:`ifvit.sources.augment.source_side`.

        Raises ValueError where there are none.
        """
        if not len(prints):
            raise ValueError("no prints to train on: the data set or its split is empty")
        self.model, self.seed = model, seed
        self.max_rotation, self.impostor_ratio = max_rotation, impostor_ratio
        self.turn = turn
        self.prints, self.finger = prints, prints.labels()

    def batch(self, index: int, size: int) -> PairBatch:
        """Return batch ``index`` of ``size`` pairs."""
        rng = np.random.default_rng([self.seed, index])
        first = rng.integers(len(self.prints), size=size)
        second = rng.integers(len(self.prints), size=size)
        genuine = rng.random(size) >= self.impostor_ratio
        # Two prints of one finger are no impostor pair, even where one was drawn as such.
        genuine |= self.finger[first] == self.finger[second]
        root = jax.random.fold_in(jax.random.key(self.seed), index)
        return corruption_batch(
            jnp.asarray(self.prints.take(first)) / np.float32(255),
            jnp.asarray(self.prints.take(second)) / np.float32(255),
            jnp.asarray(genuine),
            jax.random.split(root, size),
            model=self.model,
            max_rotation=self.max_rotation,
            turn=self.turn,
        )


def folder_sources(config: DenseConfig) -> tuple[CorruptionPairs, CorruptionPairs]:
    """Return the training and the validation source over ``config.data.dataset_root``.

    Raises FileNotFoundError and ValueError as the readers do.
    """
    data, seed = config.data, config.run.seed
    canvases = read_canvases(read_dataset(data.dataset_root, data.ppi), source_side(config.model))
    prints = canvases.prints
    fingers = len({p.finger for p in prints})
    # A small folder keeps most of its fingers for training.
    holdout = min(data.val_fingers, max(1, fingers // 5))
    train_prints, val_prints = split_fingers(prints, holdout, seed)
    logger.info("%d prints of %d fingers, %d held out", len(prints), fingers, holdout)

    def source(chosen: list[Print], impostor_ratio: float) -> CorruptionPairs:
        return CorruptionPairs(
            canvases.of(chosen),
            config.model,
            seed=seed,
            max_rotation=data.max_rotation,
            turn=data.turn,
            impostor_ratio=impostor_ratio,
        )

    return source(train_prints, data.impostor_ratio), source(val_prints, 0.0)
