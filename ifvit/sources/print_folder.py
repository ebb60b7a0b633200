"""Module 2's source over a folder of real prints: two prints of a finger, and where its core lies.

The exact correspondence of two real prints is unknown; Module 1 aligns them, which is accurate to
about a cell. The pose of the first print is that of the classical filter
(:mod:`ifvit.features.pose`), and that of the second follows from it by the alignment: so the two
agree, even where the filter errs.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from tqdm import tqdm

from ifvit.config import MatchConfig, ModelConfig
from ifvit.data.prints import Print
from ifvit.data.readers import read_dataset, split_fingers
from ifvit.data.store import Canvases, read_canvases
from ifvit.features.coder import template_scale
from ifvit.features.features import Features, features_of
from ifvit.features.network_view import enhanced_view, frame_foreground
from ifvit.features.period import RidgePeriod, pooled_period
from ifvit.features.pose import Pose, pose_of
from ifvit.geometry.grid import cell_centres, frame_side
from ifvit.geometry.transforms import apply, compose, invert, similarity_at
from ifvit.geometry.warp import sample
from ifvit.registration.aligner import Aligner
from ifvit.sources.batch_warp import placed
from ifvit.sources.posed import PoseError, PrintBatch, erring, views_of
from ifvit.sources.truth import cell_matches

logger = logging.getLogger("ifvit")

MOST_PAIRS = 4000
"""Largest number of pairs that are aligned before training starts; each takes some 0.1 s on a CPU
core."""


@dataclass(frozen=True, eq=False)
class AlignedPairs:
    """Pairs that Module 1 could align: indices of prints (P,2) and transforms (P,2,3)."""

    index: np.ndarray
    H_0to1: np.ndarray


def features_at(prints: Canvases, row: int) -> Features:
    """Return one of the prints, measured."""
    return features_of(prints.take(np.array(row)) / np.float32(255))


def align_pairs(aligner: Aligner, prints: Canvases, pairs: np.ndarray) -> AlignedPairs:
    """Align pairs of prints (P,2) by Module 1; those that cannot be are left out."""
    one = lru_cache(maxsize=1024)(partial(features_at, prints))
    index, transforms = [], []
    for row0, row1 in tqdm(pairs.tolist(), "aligning pairs", unit="pair", leave=False):
        found = aligner.register(one(row0), one(row1))
        if found.ok:
            index.append((row0, row1))
            transforms.append(found.H_0to1)
    logger.info("Module 1 aligned %d of %d pairs", len(index), len(pairs))
    return AlignedPairs(
        np.array(index, int).reshape(-1, 2), np.array(transforms, np.float32).reshape(-1, 2, 3)
    )


class FolderPrints:
    """Prints of a folder, two by two of one finger; batch ``i`` is a function of (seed, i)."""

    def __init__(self, prints: Canvases, aligner: Aligner, *, seed: int, error: PoseError) -> None:
        """Align the pairs to train on. ``prints`` have the side of the aligner's frame.

        Raises ValueError where it can align no pair, or pairs of fewer than two fingers.
        """
        self.model, self.seed, self.error = aligner.config, seed, error
        self.prints, self.label = prints, prints.labels()
        pairs = genuine_pairs(self.label, MOST_PAIRS, np.random.default_rng(seed))
        self.pairs = align_pairs(aligner, prints, pairs)
        if len(np.unique(self.label[self.pairs.index[:, 0]])) < 2:
            raise ValueError(
                f"Module 1 could align {len(self.pairs.index)} of the {len(pairs)} pairs of one "
                "finger in this folder, expected some of two fingers at least: train it longer, or "
                "on prints like these, or start from the package's (train-dense --preset small "
                "--init-from small)"
            )
        self._settings, self._periods = aligner.extractor.fit_config, dict[int, RidgePeriod]()

    @property
    def fingers(self) -> int:
        """Return the number of identities."""
        return int(self.label.max()) + 1

    def _scale(self, rows: np.ndarray) -> float:
        """Return the scale at which the prints of a pair are drawn, as for their templates."""
        for row in rows.tolist():
            if row not in self._periods:
                self._periods[row] = features_at(self.prints, row).period
        periods = [self._periods[row] for row in rows.tolist()]
        return template_scale(pooled_period(periods), self._settings)

    def draw(self, index: int, size: int) -> np.ndarray:
        """Draw the aligned pairs that batch ``index`` shows, of as many fingers as possible.

        A finger with many prints is not drawn more often than one with two.
        """
        rng = np.random.default_rng([self.seed, index])
        label = self.label[self.pairs.index[:, 0]]
        fingers = rng.permutation(np.unique(label))
        chosen = np.resize(fingers, size // 2)
        return np.array([rng.choice(np.flatnonzero(label == finger)) for finger in chosen])

    def batch(self, index: int, size: int) -> PrintBatch:
        """Return batch ``index`` of ``size`` prints, an even number."""
        chosen = self.draw(index, size)
        rows = self.pairs.index[chosen]
        return folder_batch(
            jnp.asarray(self.prints.take(rows)) / np.float32(255),
            jnp.asarray(self.pairs.H_0to1[chosen]),
            jnp.asarray([self._scale(pair) for pair in rows], jnp.float32),
            jnp.asarray(self.label[rows.reshape(-1)]),
            jax.random.fold_in(jax.random.key(self.seed), index),
            model=self.model,
            error=self.error,
        )


@partial(jax.jit, static_argnames=("model", "error"))
def folder_batch(
    frames: Float[Array, "P 2 S S"],
    H_0to1: Float[Array, "P 2 3"],
    scale: Float[Array, " P"],
    label: Int[Array, " B"],
    key: PRNGKeyArray,
    *,
    model: ModelConfig,
    error: PoseError,
) -> PrintBatch:
    """Make a batch of P aligned pairs, B = 2 P prints.

    Frames, at 500 ppi, are first drawn ``scale`` times larger about their middles, as a print of
    fine ridges is for its template.
    """
    side = frame_side(model)
    smaller = jax.vmap(lambda factor: about_middle(1 / factor, side))(scale)
    H = jax.vmap(lambda H, small: compose(invert(small), compose(H, small)))(H_0to1, smaller)
    draw = jax.vmap(lambda frame, small: sample(frame, placed(small, side)))
    flat = draw(frames.reshape(-1, *frames.shape[2:]), smaller.repeat(2, axis=0))
    mask = frame_foreground(flat, model)
    pose = poses_of(flat, mask, H, model)
    keys = jax.random.split(key, len(flat))
    laid = jax.vmap(lambda k, p: erring(k, p, error, side))(keys, pose)
    views = views_of(flat, mask, laid, model)

    def truth(H: Array, laid: Array, masks: Array) -> Array:
        centres = jnp.asarray(cell_centres(model))
        shown0, shown1 = apply(laid[0], centres), apply(laid[1], centres)
        points1, points0 = apply(H, shown0), apply(invert(H), shown1)
        valid = _inside(shown0, side) & _inside(points1, side)
        back1, back0 = apply(invert(laid[1]), points1), apply(invert(laid[0]), points0)
        return cell_matches(back1, valid, back0, masks[0], masks[1], model)

    by_two = views.posed_mask.reshape(len(H), 2, model.cells, model.cells)
    matches0 = jax.vmap(truth)(H, laid.reshape(-1, 2, 2, 3), by_two)
    return PrintBatch(
        views.loose, views.loose_mask, pose, views.posed, views.posed_mask, label, matches0
    )


def poses_of(
    frames: Float[Array, "B S S"],
    mask: Bool[Array, "B S S"],
    H_0to1: Float[Array, "P 2 3"],
    model: ModelConfig,
) -> Pose:
    """Return the pose of print 2i by the filter, and of print 2i + 1 by the alignment of the two.

    In pixels of the frames.
    """
    shown = enhanced_view(frames[::2], mask[::2], model)
    first = pose_of(shown.orientation, shown.coherence, shown.mask, model)
    core1 = apply(H_0to1, first.core[:, None])[:, 0]
    rotation1 = first.rotation + jnp.arctan2(H_0to1[:, 1, 0], H_0to1[:, 0, 0])
    core = jnp.stack([first.core, core1], axis=1).reshape(-1, 2)
    rotation = jnp.stack([first.rotation, rotation1], axis=1).reshape(-1)
    return Pose(core, rotation, jnp.ones_like(rotation))


def about_middle(factor: Array, side: int) -> Float[Array, "2 3"]:
    """Return the scaling of a frame of ``side`` pixels about its middle."""
    corner = (1 - factor) * jnp.full(2, (side - 1) / 2)
    return similarity_at(factor, jnp.zeros(()), jnp.zeros(2), corner)


def _inside(points: Float[Array, "N 2"], side: int) -> Bool[Array, " N"]:
    return ((points >= 0) & (points <= side - 1)).all(-1)


def genuine_pairs(label: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return pairs (P,2) of prints of one finger: all, or ``most`` of them drawn at random."""
    groups = np.split(np.argsort(label, kind="stable"), np.cumsum(np.bincount(label))[:-1])
    every = [group[np.stack(np.triu_indices(len(group), 1), 1)] for group in groups]
    pairs = np.concatenate(every)
    return pairs[np.sort(rng.choice(len(pairs), min(most, len(pairs)), replace=False))]


def folder_sources(
    config: MatchConfig, dense_ckpt: Path | None
) -> tuple[FolderPrints, FolderPrints, int]:
    """Return the training and validation sources over ``config.data.dataset_root``, with the
    number of identities.

    Raises ValueError without a Module 1 checkpoint, which has to align the pairs.
    """
    if dense_ckpt is None:
        raise ValueError(
            "a folder of prints needs Module 1 to align its pairs: pass --pretrained-ckpt, or "
            "train on --dataset-root synthetic"
        )
    aligner = Aligner.from_checkpoint(dense_ckpt)
    data, seed = config.data, config.run.seed
    canvases = read_canvases(read_dataset(data.dataset_root, data.ppi), aligner.side)
    prints = canvases.prints
    fingers = len({(p.dataset, p.finger) for p in prints})
    if fingers < 4:
        raise ValueError(
            f"{data.dataset_root} has {fingers} fingers: expected at least 4, two to train on "
            "and two to validate on"
        )
    # A small folder keeps most of its fingers for training; an impostor pair needs two.
    train, held = split_fingers(prints, min(data.val_fingers, max(2, fingers // 5)), seed)

    def source(chosen: list[Print]) -> FolderPrints:
        return FolderPrints(canvases.of(chosen), aligner, seed=seed, error=PoseError.of(data))

    made = source(train)
    return made, source(held), made.fingers
