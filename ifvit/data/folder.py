"""A folder of real prints as a training source; batch ``i`` is a pure function of (seed, i)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from ifvit.config import ModelConfig
from ifvit.data.augment import corruption_batch
from ifvit.data.canvases import Canvases
from ifvit.data.pairs import PairBatch


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
        """``prints`` have the side of :func:`ifvit.data.augment.source_side`.

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
        # Two prints of one finger are no impostor pair, whatever was wished for.
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
