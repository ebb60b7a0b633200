"""The Aligner: Module 1 at work, and two prints laid on each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from ifvit.config import STRIDE
from ifvit.features.enhancer import EnhancerName
from ifvit.features.extractor import Extractor
from ifvit.features.features import Features
from ifvit.features.fit import FIT_CONFIG, FitConfig
from ifvit.files import sha256_of
from ifvit.geometry.grid import cell_centres, frame_side
from ifvit.models.dense_reg import DenseRegModel
from ifvit.registration.align import (
    ALIGN_CONFIG,
    AlignConfig,
    align_config_of,
    judged,
    matched,
    search_angles,
)
from ifvit.registration.alignment import Alignment
from ifvit.registration.dense_map import of_frames, of_turned
from ifvit.registration.hypotheses import (
    Hypotheses,
    better,
    joined,
    most_confident,
    rotations,
    suggested,
)
from ifvit.registration.pairing import Group, grouped
from ifvit.registration.placed import placed_by_ridges
from ifvit.registration.rectify import rectified, starts_of
from ifvit.registration.refine import REFINE_CONFIG, RefineConfig, refine_pairs
from ifvit.registration.turns import core_on_core, likely_turns
from ifvit.runtime.jax_runtime import compiled
from ifvit.weights.checkpoint import load_dense
from ifvit.weights.pretrained import pretrained_files


class Aligner:
    """A trained Module 1, ready to align prints. Compiles once, then serves any number."""

    def __init__(
        self,
        dense: DenseRegModel,
        align_config: AlignConfig = ALIGN_CONFIG,
        refine_config: RefineConfig = REFINE_CONFIG,
        enhancer: EnhancerName = "gabor",
        fit_config: FitConfig = FIT_CONFIG,
        dense_sha256: str = "",
    ) -> None:
        """Take the model, which is used in eval mode, and the sha256 of its checkpoint, if any.

        Raises ValueError where its resolution does not divide 500 ppi, and as ``source_of`` does.
        """
        self.config = dense.config
        self.align_config = align_config
        self.refine_config = refine_config
        self.side = frame_side(self.config)
        self.extractor = Extractor(dense, enhancer, fit_config, dense_sha256)
        view = nnx.view(dense, use_running_average=True)
        self._log_p = compiled(view, of_turned)
        self._pairs_log_p = compiled(view, of_frames)
        self._centres: dict[int, np.ndarray] = {}

    @classmethod
    def from_checkpoint(
        cls, dense_ckpt: str | Path | None = None, enhancer: EnhancerName = "gabor"
    ) -> Aligner:
        """Load a trained Module 1, to be used for the rotations that it was trained for.

        Without one it is that which ships with ifvit. Raises FileNotFoundError and ValueError as
        the loader and ``pretrained_files`` do.
        """
        path = pretrained_files().dense if dense_ckpt is None else dense_ckpt
        dense, metadata = load_dense(path)
        search = align_config_of(metadata.settings())
        return cls(dense, search, enhancer=enhancer, dense_sha256=sha256_of(path))

    def register(self, print0: Features, print1: Features) -> Alignment:
        """Register two prints by Module 1, and below its cells by their ridges.

        Coordinates are pixels of the prints at 500 ppi. Swapped prints give the transposed
        alignment.
        """
        return self.register_pairs([(print0, print1)])[0]

    def register_pairs(self, pairs: Sequence[tuple[Features, Features]]) -> list[Alignment]:
        """Register pairs of prints, each as :meth:`register` does, in calls that they share.

        Compiled once for each number of pairs and each canvas.
        """
        made: dict[int, Alignment] = {}
        for group in grouped(pairs, self.extractor):
            found = self.register_group(group)
            for pair, one in zip(group.pairs, found, strict=False):
                made[pair.place] = pair.given(one.on_prints(*pair.frames))
        return [made[index] for index in range(len(pairs))]

    def register_group(self, group: Group) -> list[Alignment]:
        """Register P pairs that are drawn on canvases of one size, in pixels of their frames.

        By the ridges' flow the rotations that are worth a look; by Module 1 several hypotheses;
        from these, by the ridges themselves, one placement and the skin's distortion.
        """
        frames0, frames1, settings = group.frames0, group.frames1, self.align_config
        config = replace(self.config, canvas=group.canvas)
        angles = likely_turns(frames0, frames1, search_angles(settings), settings.turns)
        cores = np.asarray(core_on_core(frames0, frames1, config), float)
        found = self.search(group, angles, cores[:, None])
        starts = starts_of(found, self.centres(group.canvas))
        ridges = frames0.ridges, frames1.ridges
        refined = refine_pairs(*ridges, starts, config, self.refine_config)
        placed = placed_by_ridges(found, refined, self.centres(group.canvas), config, settings)
        return [judged(one, settings) for one in placed]

    def search(
        self,
        group: Group,
        angles: Float[np.ndarray, "P A"],
        hints: Float[np.ndarray, "P K 2 3"],
    ) -> Hypotheses:
        """Align P pairs by Module 1 alone, in several ways each, the most confident first.

        All rotations of all pairs, ``angles`` in degrees, are one batch. The best of them, and the
        ``hints``, alignments that something else suggests, are looked at again, print 1 drawn as
        each says. Deterministic.
        Source: the method's rotation search and RANSAC (Qiu et al., IFViT).
        """
        cells = group.canvas // STRIDE
        found = self.look(group, rotations(angles, group.pairs[0].fit.side))
        for row, kept in enumerate(self.align_config.followed):
            found = most_confident(found, kept)
            if row == 0:
                found = joined(suggested(hints, cells), found)
            found = better(found, self.look(group, found.H_0to1, found.displacement))
        return most_confident(found)

    def look(
        self,
        group: Group,
        H_0to1: Float[np.ndarray, "P A 2 3"],
        displacement: Float[np.ndarray, "P A h w 2"] | None = None,
    ) -> Hypotheses:
        """Ask Module 1 about print 1 drawn in A ways, and rectify each by what it matched.

        What is drawn is the raw grey print and its foreground mask, reduced to the network's
        resolution and normalised there: so the one interpolation happens where a ridge period has
        nine pixels rather than four, and what a rotation brings in is no edge.
        """
        moved = None if displacement is None else jnp.asarray(displacement, jnp.float32)
        log_p = self._log_p(group.map0, group.frames1, jnp.asarray(H_0to1, jnp.float32), moved)
        centres, settings = self.centres(group.canvas), self.align_config
        found = matched(log_p, H_0to1, centres, settings, displacement)
        return rectified(found, centres, settings.inlier_px, settings.rectify)

    def centres(self, canvas: int) -> Float[np.ndarray, "N 2"]:
        """Return the coarse cells' centres on a canvas of this side, pixels of the frame."""
        if canvas not in self._centres:
            config = replace(self.config, canvas=canvas)
            self._centres[canvas] = np.asarray(cell_centres(config), np.float64)
        return self._centres[canvas]

    def realign(
        self,
        frames0: Float[Array, "B S S"],
        frames1: Float[Array, "B S S"],
        H_0to1: Float[Array, "B 2 3"],
    ) -> Float[np.ndarray, "B 2 3"]:
        """Align B pairs again from rough alignments, in one pass without a rotation search.

        What Module 2 is trained on: pairs as Module 1 aligns them, errors included. A pair that
        cannot be aligned keeps the alignment that it came with.
        """
        start = np.asarray(H_0to1, np.float64)
        log_p = self._pairs_log_p(frames0, frames1, jnp.asarray(H_0to1))
        centres = self.centres(self.config.canvas)
        found = matched(log_p[:, None], start[:, None], centres, self.align_config)
        enough = found.num_inliers >= self.align_config.min_inliers
        kept = np.where(enough[..., None, None], found.H_0to1, start[:, None])
        return kept[:, 0].astype(np.float32)
