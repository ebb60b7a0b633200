"""Module 2's source over a folder of real prints: pairs that Module 1 has aligned.

Which cells of a real pair correspond nobody knows exactly; once Module 1 has aligned it, a cell
and the cell in its place are taken to correspond, which is right to about a cell.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray
from tqdm import tqdm

from ifvit.config import MatchConfig, ModelConfig
from ifvit.data.prints import Print
from ifvit.data.readers import read_dataset, split_fingers
from ifvit.data.store import Canvases, read_canvases
from ifvit.features.features import Features, features_of
from ifvit.features.fit import scale_of
from ifvit.features.period import RidgePeriod, pooled_period
from ifvit.geometry.grid import cell_centres, frame_side
from ifvit.geometry.transforms import apply, compose, invert, similarity_at
from ifvit.geometry.warp import drawn
from ifvit.registration.aligner import Aligner
from ifvit.sources.aligned import (
    IMPOSTOR_SPREAD,
    AlignedBatch,
    AlignmentError,
    disturb,
    stand_alone,
    template_rows,
)

logger = logging.getLogger("ifvit")

MOST_GENUINE = 4000
"""Genuine pairs that are aligned before training starts; each takes some 0.1 s on a CPU core."""


@dataclass(frozen=True)
class AlignedPairs:
    """Pairs that Module 1 could align: indices of prints (P,2) and transforms (P,2,3)."""

    index: np.ndarray
    H_0to1: np.ndarray


def features_at(prints: Canvases, row: int) -> Features:
    """Return one of the prints, measured."""
    return features_of(prints.take(np.array(row)) / np.float32(255))


def align_pairs(aligner: Aligner, prints: Canvases, pairs: np.ndarray, what: str) -> AlignedPairs:
    """Align pairs of prints (P,2) by Module 1; those that cannot be are left out."""

    one = lru_cache(maxsize=1024)(partial(features_at, prints))
    index, transforms = [], []
    for row0, row1 in tqdm(pairs.tolist(), f"aligning {what} pairs", unit="pair", leave=False):
        found = aligner.register(one(row0), one(row1))
        if found.ok:
            index.append((row0, row1))
            transforms.append(found.H_0to1)
    logger.info("Module 1 aligned %d of %d %s pairs", len(index), len(pairs), what)
    return AlignedPairs(
        np.array(index, int).reshape(-1, 2), np.array(transforms, np.float32).reshape(-1, 2, 3)
    )


class FolderAligned:
    """Aligned pairs of real prints; batch ``i`` is a pure function of (seed, i)."""

    def __init__(
        self, prints: Canvases, aligner: Aligner, *, seed: int, impostor_ratio: float
    ) -> None:
        """Align what is to be trained on. ``prints`` have the aligner's side.

        Raises ValueError where it can align no genuine pair.
        """
        self.model, self.seed, self.impostor_ratio = aligner.config, seed, impostor_ratio
        self.prints, self.label = prints, prints.labels()
        rng = np.random.default_rng(seed)
        genuine = genuine_pairs(self.label, MOST_GENUINE, rng)
        self.genuine = align_pairs(aligner, prints, genuine, "genuine")
        if not len(self.genuine.index):
            raise ValueError(
                f"Module 1 could align none of {len(genuine)} genuine pairs of this folder: train "
                "it longer, or on prints like these, before Module 2"
            )
        self.aligner, self._periods = aligner, dict[int, RidgePeriod]()
        self.unaligned = impostor_pairs(self.label, len(genuine), rng)
        self.impostor = align_pairs(aligner, prints, self.unaligned, "impostor")

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

    def _scale(self, rows: np.ndarray) -> float:
        """Return the scale at which a match draws the prints of a pair (:func:`scale_of`)."""
        for row in rows.tolist():
            if row not in self._periods:
                self._periods[row] = features_at(self.prints, row).period
        periods = [self._periods[row] for row in rows.tolist()]
        return scale_of(pooled_period(periods), self.aligner.extractor.fit_config)

    def aligned(
        self, index: int, size: int, error: AlignmentError, template_ratio: float
    ) -> AlignedBatch:
        """Return batch ``index``; a share of its rows shows one print twice, for its template."""
        rng = np.random.default_rng([self.seed, index])
        genuine = rng.random(size) >= self.impostor_ratio * bool(len(self.unaligned))
        alone = template_rows(rng, size, template_ratio)
        genuine = genuine | alone
        chosen = [self._draw(rng, bool(g)) for g in genuine]
        for row in np.flatnonzero(alone)[::2]:
            (print0, print1), still = chosen[row][0], np.eye(2, 3, dtype=np.float32)
            chosen[row + 1] = np.array([print1, print0]), still
        rows = np.stack([pair for pair, _ in chosen])
        batch = real_batch(
            jnp.asarray(self.prints.take(rows)) / np.float32(255),
            jnp.asarray(np.stack([H for _, H in chosen]), jnp.float32),
            jnp.asarray([self._scale(pair) for pair in rows], jnp.float32),
            jnp.asarray(self.label[rows]),
            jnp.asarray(genuine),
            jax.random.fold_in(jax.random.key(self.seed), index),
            model=self.model,
            error=error,
        )
        return stand_alone(batch, jnp.asarray(alone), self.model)


@partial(jax.jit, static_argnames=("model", "error"))
def real_batch(
    frames: Float[Array, "B 2 S S"],
    H_0to1: Float[Array, "B 2 3"],
    scale: Float[Array, " B"],
    label: Array,
    genuine: Bool[Array, " B"],
    key: PRNGKeyArray,
    *,
    model: ModelConfig,
    error: AlignmentError,
) -> AlignedBatch:
    """Disturb the alignments by ``error`` and move the cells that correspond along with them.

    Frames, at 500 ppi, are first drawn ``scale`` times larger about their middles, as a match
    draws prints of fine ridges.
    """
    side, centres = frame_side(model), cell_centres(model)
    still = jnp.eye(2, 3)
    smaller = jax.vmap(lambda factor: about_middle(1 / factor, side))(scale)
    frames = jax.vmap(jax.vmap(lambda H, frame: drawn(frame, H[None], "nearest")[0], (None, 0)))(
        smaller, frames
    )
    H_0to1 = jax.vmap(lambda H, small: compose(invert(small), compose(H, small)))(H_0to1, smaller)

    def place(key: Array, genuine: Array) -> Array:
        return disturb(key, still, jnp.where(genuine, 1.0, IMPOSTOR_SPREAD), error, side)

    moved = jax.vmap(place)(jax.random.split(key, len(frames)), genuine)
    points0 = jax.vmap(lambda m: apply(m, centres))(moved)
    points1 = jax.vmap(lambda m: apply(invert(m), centres))(moved)
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
        jnp.zeros_like(genuine),
    )


def about_middle(factor: Array, side: int) -> Float[Array, "2 3"]:
    """Return the scaling of a frame of ``side`` pixels about its middle."""
    corner = (1 - factor) * jnp.full(2, (side - 1) / 2)
    return similarity_at(factor, jnp.zeros(()), jnp.zeros(2), corner)


def genuine_pairs(label: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return pairs (P,2) of prints of one finger: all, or ``most`` of them drawn at random."""
    groups = np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label))[:-1])
    every = [group[np.stack(np.triu_indices(len(group), 1), 1)] for group in groups]
    pairs = np.concatenate(every)
    return pairs[np.sort(rng.choice(len(pairs), min(most, len(pairs)), replace=False))]


def impostor_pairs(label: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``most`` pairs (P,2) of prints of two fingers, or all where there are fewer.

    Of a hundred thousand prints there are five thousand million pairs: they are drawn one by one,
    and not chosen from a list.
    """
    count = len(label)
    there = (count**2 - int(np.square(np.bincount(label)).sum())) // 2
    found: dict[tuple[int, int], None] = {}
    while len(found) < min(most, there):
        row0, row1 = sorted(rng.integers(count, size=2).tolist())
        if label[row0] != label[row1]:
            found[row0, row1] = None
    return np.array(list(found), int).reshape(-1, 2)


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
    aligner = Aligner.from_checkpoint(dense_ckpt)
    canvases = read_canvases(read_dataset(config.dataset_root, config.ppi), aligner.side)
    prints = canvases.prints
    fingers = len({(p.dataset, p.finger) for p in prints})
    if fingers < 4:
        raise ValueError(
            f"{config.dataset_root} has {fingers} fingers: expected at least 4, two to train on "
            "and two to validate on"
        )
    # A small folder keeps most of its fingers for training; an impostor pair needs two.
    train, held = split_fingers(prints, min(config.val_fingers, max(2, fingers // 5)), config.seed)

    def source(chosen: list[Print], impostor_ratio: float) -> FolderAligned:
        some = canvases.of(chosen)
        return FolderAligned(some, aligner, seed=config.seed, impostor_ratio=impostor_ratio)

    made = source(train, config.impostor_ratio)
    return made, source(held, 0.5), made.fingers
