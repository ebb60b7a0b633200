"""The Aligner: Module 1 at work, and two prints laid on each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.features.enhancer import EnhancerName
from ifvit.features.extractor import Extractor
from ifvit.features.features import Features
from ifvit.features.fit import FIT_CONFIG, FitConfig
from ifvit.features.frame_features import FrameFeatures, stacked
from ifvit.files import sha256_of
from ifvit.geometry.field import Displacement
from ifvit.geometry.grid import frame_side
from ifvit.geometry.transforms import angle_of, apply
from ifvit.models.dense_reg import DenseRegModel
from ifvit.registration.align import ALIGN_CONFIG, AlignConfig, align_config_of, candidates, judged
from ifvit.registration.alignment import Alignment
from ifvit.registration.correlate import MIN_OVERLAP
from ifvit.registration.dense_map import of_frames, of_turned
from ifvit.registration.evidence import block_share
from ifvit.registration.pairing import Group, grouped
from ifvit.registration.rectify import starts_of
from ifvit.registration.refine import REFINE_CONFIG, RefineConfig, Refined, refine_pairs
from ifvit.registration.search import coarse, search_angles
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
        """Register P pairs that are drawn on canvases of one size, in pixels of their frames."""
        frames0, frames1 = group.frames0, group.frames1
        config = self.config_of(frames0)
        found = self.search(group)
        starts = stacked([starts_of(ways, config) for ways in found])
        refined = refine_pairs(frames0.ridges, frames1.ridges, starts, config, self.refine_config)
        made = []
        for index, ways in enumerate(found):
            if ways[0].num_inliers >= 3:
                placed = jax.tree.map(lambda x, i=index: x[i], refined)
                ways = [self._refined(one, placed, config) for one in ways]
            # All now lie at one place: the one whose matches say so too.
            best = max(ways, key=lambda one: one.num_inliers)
            made.append(judged(best, self.align_config))
        return made

    def config_of(self, frames: FrameFeatures) -> ModelConfig:
        """Return the settings of the networks on a canvas of this size."""
        return replace(self.config, canvas=frames.ridges.image.shape[-1])

    def search(self, group: Group) -> list[list[Alignment]]:
        """Align P pairs by Module 1 alone, in several ways each, the most confident first.

        Print 0 stays as it is, and print 1 is turned; one way more is core on core, whatever
        Module 1 made of it.
        """
        frames0, frames1, map0 = group.frames0, group.frames1, group.map0

        def log_p(H: np.ndarray, fields: np.ndarray | None) -> Array:
            moved = None if fields is None else jnp.asarray(fields, jnp.float32)
            return self._log_p(map0, frames1, jnp.asarray(H, jnp.float32), moved)

        config = self.config_of(frames0)
        hints = np.asarray(core_on_core(frames0, frames1, config), float)
        angles = search_angles(self.align_config)
        likely = likely_turns(frames0, frames1, angles, self.align_config.turns)
        return coarse(log_p, likely, config, self.align_config, hints[:, None])

    def _refined(self, alignment: Alignment, refined: Refined, config: ModelConfig) -> Alignment:
        """Return an alignment with the refined transform, and its matches moved by it.

        A match within reach of where the ridges place it is taken there, to a fraction of a cell;
        the others do not agree.
        """
        H = np.asarray(refined.H_0to1, float)
        displacement = Displacement.of_frames(np.asarray(refined.displacement, float), config)
        placed = apply(H, alignment.points0 + displacement.at(alignment.points0))
        away = np.linalg.norm(placed - alignment.points1, axis=1)
        inliers = away <= self.align_config.inlier_px
        # By confidence: cells that agree because a field can be bent to them are unsure of it.
        borne_out = alignment.confidence[away <= self.align_config.near_px].sum()
        # An overlap too small to be searched says as little with every cell of it matched.
        overlap = max(float(refined.overlap), MIN_OVERLAP)
        return replace(
            alignment,
            H_0to1=H,
            points1=np.where(inliers[:, None], placed, alignment.points1),
            inliers=inliers,
            angle=angle_of(H),
            displacement=displacement,
            ridge_ncc=float(refined.ncc),
            block_share=block_share(np.asarray(refined.block_ncc)),
            match_share=min(1.0, float(borne_out) / (overlap * config.cells**2)),
            overlap_mm2=float(refined.overlap) * (frame_side(config) * 25.4 / REFERENCE_PPI) ** 2,
        )

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
        made = candidates(log_p, start, self.config, self.align_config)
        enough = self.align_config.min_inliers
        kept = [
            m.H_0to1 if m.num_inliers >= enough else h for m, h in zip(made, start, strict=True)
        ]
        return np.stack(kept).astype(np.float32)
