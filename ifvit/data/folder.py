"""A folder of real prints as a training source; batch ``i`` is a pure function of (seed, i)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.data.augment import corruption_batch, source_side
from ifvit.data.pairs import PairBatch
from ifvit.data.prints import Print, load_canvas

logger = logging.getLogger("ifvit")


def load_sources(
    prints: Sequence[Print],
    side: int,
    progress: Callable[[Sequence[Print]], Iterable[Print]] = lambda prints: prints,
) -> np.ndarray:
    """Read prints onto centred canvases (P, side, side) uint8 at 500 ppi.

    Raises as :func:`ifvit.data.prints.load_canvas`; check with ``check_readable`` first.
    """
    canvases = [load_canvas(p.path, p.ppi, REFERENCE_PPI, side) for p in progress(prints)]
    return np.stack([np.round(c * 255).astype(np.uint8) for c in canvases])


class CorruptionPairs:
    """Module 1's source over a folder: each print against its own corrupted copy."""

    def __init__(
        self,
        prints: Sequence[Print],
        model: ModelConfig,
        *,
        seed: int,
        max_rotation: float,
        impostor_ratio: float,
        turn: float = 0.0,
        progress: Callable[[Any], Any] = lambda prints: prints,
    ) -> None:
        """Read all prints into memory. Raises ValueError where there are none."""
        if not prints:
            raise ValueError("no prints to train on: the data set or its split is empty")
        self.model, self.seed = model, seed
        self.max_rotation, self.impostor_ratio = max_rotation, impostor_ratio
        self.turn = turn
        self.sources = load_sources(prints, source_side(model), progress)
        names = sorted({(p.dataset, p.finger) for p in prints})
        self.finger = np.array([names.index((p.dataset, p.finger)) for p in prints])

    def batch(self, index: int, size: int) -> PairBatch:
        """Return batch ``index`` of ``size`` pairs."""
        rng = np.random.default_rng([self.seed, index])
        first = rng.integers(len(self.sources), size=size)
        second = rng.integers(len(self.sources), size=size)
        genuine = rng.random(size) >= self.impostor_ratio
        # Two prints of one finger are no impostor pair, whatever was wished for.
        genuine |= self.finger[first] == self.finger[second]
        root = jax.random.fold_in(jax.random.key(self.seed), index)
        return corruption_batch(
            jnp.asarray(self.sources[first]) / np.float32(255),
            jnp.asarray(self.sources[second]) / np.float32(255),
            jnp.asarray(genuine),
            jax.random.split(root, size),
            model=self.model,
            max_rotation=self.max_rotation,
            turn=self.turn,
        )
