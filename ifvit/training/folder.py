"""Module 2's source over a folder of real prints: pairs that Module 1 has aligned.

Which cells of a real pair correspond nobody knows exactly; once Module 1 has aligned it, a cell
and the cell in its place are taken to correspond, which is right to about a cell.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray
from tqdm import tqdm

from ifvit.config import MatchConfig, ModelConfig
from ifvit.data.aligned import (
    IMPOSTOR_SPREAD,
    AlignedBatch,
    AlignmentError,
    compose,
    disturb,
    inverse,
    stand_alone,
    transform,
)
from ifvit.data.folder import load_sources
from ifvit.data.pairs import cell_centres, frame_side
from ifvit.data.prints import Print
from ifvit.data.readers import check_readable, read_dataset, split_fingers
from ifvit.evaluation.protocols import Pair, all_pairs
from ifvit.pipeline.register import Registrar

logger = logging.getLogger("ifvit")

MOST_GENUINE = 4000
"""Genuine pairs that are aligned before training starts; each takes some 0.1 s on a CPU core."""


@dataclass(frozen=True)
class AlignedPairs:
    """Pairs that Module 1 could align: indices of prints (P,2) and transforms (P,2,3)."""

    index: np.ndarray
    H_0to1: np.ndarray


def align_pairs(
    registrar: Registrar, frames: np.ndarray, pairs: Sequence[Pair], what: str
) -> AlignedPairs:
    """Align pairs of frames (uint8, 500 ppi) by Module 1; those that cannot be are left out."""
    canvases = [registrar.prepare(frame / np.float32(255)) for frame in frames]
    index, transforms = [], []
    for pair in tqdm(pairs, f"aligning {what} pairs", unit="pair", leave=False):
        found = registrar.align(canvases[pair.index0], canvases[pair.index1])
        if found.ok:
            index.append((pair.index0, pair.index1))
            transforms.append(found.H_0to1)
    logger.info("Module 1 aligned %d of %d %s pairs", len(index), len(pairs), what)
    return AlignedPairs(
        np.array(index, int).reshape(-1, 2), np.array(transforms, np.float32).reshape(-1, 2, 3)
    )


class FolderAligned:
    """Aligned pairs of real prints; batch ``i`` is a pure function of (seed, i)."""

    def __init__(
        self, prints: Sequence[Print], registrar: Registrar, *, seed: int, impostor_ratio: float
    ) -> None:
        """Read and align everything. Raises ValueError where no genuine pair can be aligned."""
        self.model, self.seed, self.impostor_ratio = registrar.config, seed, impostor_ratio
        self.frames = load_sources(prints, registrar.side)
        names = sorted({(p.dataset, p.finger) for p in prints})
        self.label = np.array([names.index((p.dataset, p.finger)) for p in prints])
        pairs = all_pairs(prints)
        rng = np.random.default_rng(seed)
        genuine = _some([p for p in pairs if p.genuine], MOST_GENUINE, rng)
        self.genuine = align_pairs(registrar, self.frames, genuine, "genuine")
        if not len(self.genuine.index):
            raise ValueError(
                f"Module 1 could align none of {len(genuine)} genuine pairs of this folder: train "
                "it longer, or on prints like these, before Module 2"
            )
        impostor = _some([p for p in pairs if not p.genuine], len(genuine), rng)
        self.impostor = align_pairs(registrar, self.frames, impostor, "impostor")
        self.unaligned = np.array([(p.index0, p.index1) for p in impostor], int).reshape(-1, 2)

    @property
    def fingers(self) -> int:
        """Return the number of identities."""
        return int(self.label.max()) + 1

    def _draw(self, rng: np.random.Generator, genuine: bool) -> tuple[np.ndarray, np.ndarray]:
        """Draw one pair's prints and transform; half the impostors as Module 1 misaligned them."""
        pool = self.genuine if genuine else self.impostor
        if not genuine and (not len(pool.index) or rng.random() < 0.5):
            return self.unaligned[rng.integers(len(self.unaligned))], np.eye(2, 3, dtype=np.float32)
        row = rng.integers(len(pool.index))
        return pool.index[row], pool.H_0to1[row]

    def aligned(
        self, index: int, size: int, error: AlignmentError, template_ratio: float
    ) -> AlignedBatch:
        """Return batch ``index``; a share of its pairs shows one print twice, unaligned."""
        rng = np.random.default_rng([self.seed, index])
        genuine = rng.random(size) >= self.impostor_ratio * bool(len(self.unaligned))
        drawn = [self._draw(rng, bool(g)) for g in genuine]
        rows = np.stack([pair for pair, _ in drawn])
        batch = real_batch(
            jnp.asarray(self.frames[rows]) / np.float32(255),
            jnp.asarray(np.stack([H for _, H in drawn]), jnp.float32),
            jnp.asarray(self.label[rows]),
            jnp.asarray(genuine),
            jax.random.fold_in(jax.random.key(self.seed), index),
            model=self.model,
            error=error,
        )
        alone = genuine & (rng.random(size) < template_ratio)
        return stand_alone(batch, jnp.asarray(alone), self.model)


@partial(jax.jit, static_argnames=("model", "error"))
def real_batch(
    frames: Float[Array, "B 2 S S"],
    H_0to1: Float[Array, "B 2 3"],
    label: Array,
    genuine: Bool[Array, " B"],
    key: PRNGKeyArray,
    *,
    model: ModelConfig,
    error: AlignmentError,
) -> AlignedBatch:
    """Disturb the alignments by ``error`` and move the cells that correspond along with them."""
    side, centres = frame_side(model), cell_centres(model)
    still = jnp.eye(2, 3)

    def place(key: Array, genuine: Array) -> Array:
        return disturb(key, still, jnp.where(genuine, 1.0, IMPOSTOR_SPREAD), error, side)

    moved = jax.vmap(place)(jax.random.split(key, len(frames)), genuine)
    points0 = jax.vmap(lambda m: transform(m, centres))(moved)
    points1 = jax.vmap(lambda m: transform(inverse(m), centres))(moved)
    inside = ((points1 >= 0) & (points1 <= side - 1)).all(-1) & genuine[:, None]
    return AlignedBatch(
        frames[:, 0],
        frames[:, 1],
        jax.vmap(compose)(H_0to1, moved),
        points1,
        points0,
        inside,
        label[:, 0],
        label[:, 1],
        genuine,
    )


def _some(pairs: list[Pair], most: int, rng: np.random.Generator) -> list[Pair]:
    """Return at most so many of the pairs, drawn at random, in their order."""
    chosen = rng.choice(len(pairs), min(most, len(pairs)), replace=False)
    return [pairs[i] for i in sorted(chosen)]


def folder_sources(
    config: MatchConfig, dense_ckpt: Path | None
) -> tuple[FolderAligned, FolderAligned, int]:
    """Return the training and validation sources over ``config.dataset_root``, and the identities.

    Raises ValueError without a Module 1 checkpoint, which has to align the pairs.
    """
    if dense_ckpt is None:
        raise ValueError(
            "a folder of prints needs Module 1 to align its pairs: pass --pretrained-ckpt, or "
            "train on --dataset-root synthetic"
        )
    prints = check_readable(read_dataset(config.dataset_root, config.ppi))
    fingers = len({(p.dataset, p.finger) for p in prints})
    if fingers < 4:
        raise ValueError(
            f"{config.dataset_root} has {fingers} fingers: expected at least 4, two to train on "
            "and two to validate on"
        )
    # A small folder keeps most of its fingers for training; an impostor pair needs two.
    train, held = split_fingers(prints, min(config.val_fingers, max(2, fingers // 5)), config.seed)
    registrar = Registrar.from_checkpoint(dense_ckpt)
    made = FolderAligned(train, registrar, seed=config.seed, impostor_ratio=config.impostor_ratio)
    validation = FolderAligned(held, registrar, seed=config.seed, impostor_ratio=0.5)
    return made, validation, made.fingers
