"""Module 1 at work: two prints laid onto each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.data.given import Ppi, PrintSource, each_ppi
from ifvit.features.canvas import Canvas, canvas_of, stacked
from ifvit.features.enhancer import EnhancerName, source_of
from ifvit.features.fit import FIT_CONFIG, Fit, FitConfig, fit_of
from ifvit.features.prepared import PreparedPrint, load_print, prepare_print
from ifvit.geometry.field import Displacement
from ifvit.geometry.grid import frame_side
from ifvit.geometry.transforms import angle_of, apply
from ifvit.models.dense_reg import DenseRegModel
from ifvit.registration.align import ALIGN_CONFIG, AlignConfig, align_config_of, candidates, judged
from ifvit.registration.alignment import Alignment
from ifvit.registration.correlate import MIN_OVERLAP
from ifvit.registration.dense_map import of_frames, of_turned
from ifvit.registration.evidence import block_share
from ifvit.registration.pairing import Group, in_order
from ifvit.registration.rectify import starts_of
from ifvit.registration.refine import REFINE_CONFIG, RefineConfig, Refined, refine_pairs
from ifvit.registration.search import coarse, search_angles
from ifvit.registration.turns import core_on_core, likely_turns
from ifvit.runtime.jax_runtime import compiled
from ifvit.weights.checkpoint import load_dense
from ifvit.weights.pretrained import pretrained_files


class Registrar:
    """A trained Module 1, ready to align prints. Compiles once, then serves any number."""

    def __init__(
        self,
        dense: DenseRegModel,
        align_config: AlignConfig = ALIGN_CONFIG,
        refine_config: RefineConfig = REFINE_CONFIG,
        enhancer: EnhancerName = "gabor",
        fit_config: FitConfig = FIT_CONFIG,
    ) -> None:
        """Take the model, which is used in eval mode.

        Raises ValueError where its resolution does not divide 500 ppi, and as ``source_of`` does.
        """
        self.config = dense.config
        self.align_config = align_config
        self.refine_config = refine_config
        self.fit_config = fit_config
        self.side = frame_side(self.config)
        self.enhancer = enhancer
        self._source = source_of(enhancer)
        view = nnx.view(dense, use_running_average=True)
        self._log_p = compiled(view, of_turned)
        self._pairs_log_p = compiled(view, of_frames)

    @classmethod
    def from_checkpoint(
        cls, dense_ckpt: str | Path | None = None, enhancer: EnhancerName = "gabor"
    ) -> Registrar:
        """Load a trained Module 1, to be used for the rotations that it was trained for.

        Without one it is that which ships with ifvit. Raises FileNotFoundError and ValueError as
        the loader and ``pretrained_files`` do.
        """
        dense, metadata = load_dense(pretrained_files().dense if dense_ckpt is None else dense_ckpt)
        return cls(dense, align_config_of(metadata.settings()), enhancer=enhancer)

    def load(self, given: PrintSource, ppi: float | None = None, name: str = "") -> PreparedPrint:
        """Read and measure a print, from a file or in memory, once however often it is matched.

        ``ppi`` is its resolution, 500 if not given. Raises as :func:`load_print` does.
        """
        return load_print(given, ppi, name)

    def load_both(
        self, given0: PrintSource, given1: PrintSource, ppi: Ppi = None
    ) -> tuple[PreparedPrint, PreparedPrint]:
        """Read and measure two prints, of one resolution or of one each; raises as ``load``."""
        ppi0, ppi1 = each_ppi(ppi)
        return self.load(given0, ppi0, "print 0"), self.load(given1, ppi1, "print 1")

    def prepare(
        self, pixels: np.ndarray | PreparedPrint, ppi: float = REFERENCE_PPI
    ) -> PreparedPrint:
        """Measure a print (H, W) that is in memory: grey in [0, 1], ridges dark, at ``ppi``.

        What is prepared already stays as it is. Raises ValueError as :func:`prepare_print` does.
        """
        return pixels if isinstance(pixels, PreparedPrint) else prepare_print(pixels, ppi)

    def fit(self, *prints: PreparedPrint) -> Fit:
        """Return how one print, or both of a pair, are drawn (:mod:`ifvit.features.fit`)."""
        reaches = [one.reach_px for one in prints]
        if min(reaches) < self.fit_config.small * max(reaches):
            reaches = [one.extent_px for one in prints]
        periods = [one.period for one in prints]
        return fit_of(periods, max(reaches), self.config, self.fit_config)

    def canvas(self, item: PreparedPrint, fit: Fit) -> Canvas:
        """Draw a print and find its foreground and ridges, once for each fit and enhancer."""
        key = self.enhancer, self.config.ppi, fit
        if key not in item.canvases:
            config = replace(self.config, canvas=fit.canvas)
            frame = jnp.asarray(item.drawn(fit))
            source = None if self._source is None else self._source(frame)
            item.canvases[key] = canvas_of(frame, source, config)
        return item.canvases[key]

    def align(self, print0: PreparedPrint, print1: PreparedPrint) -> Alignment:
        """Register two prints by Module 1, and below its cells by their ridges.

        Coordinates are pixels of the prints at 500 ppi. Swapped prints give the transposed
        alignment.
        """
        return self.align_pairs([(print0, print1)])[0]

    def align_pairs(self, pairs: Sequence[tuple[PreparedPrint, PreparedPrint]]) -> list[Alignment]:
        """Register pairs of prints, each as :meth:`align` does, in calls that they share.

        Compiled once for each number of pairs and each canvas.
        """
        made: dict[int, Alignment] = {}
        for group in self.groups(pairs):
            found = self.align_stacked(group.canvases0, group.canvases1)
            for pair, one in zip(group.pairs, found, strict=False):
                made[pair.place] = pair.given(one.on_prints(*pair.frames))
        return [made[index] for index in range(len(pairs))]

    def groups(self, pairs: Sequence[tuple[PreparedPrint, PreparedPrint]]) -> Iterator[Group]:
        """Draw pairs of prints, and yield those that are drawn on canvases of one size together.

        Each group is filled up, by its last pair, to the number of all pairs: every other number
        would be compiled anew.
        """
        ordered = [in_order(place, pair, self.fit(*pair)) for place, pair in enumerate(pairs)]
        for side in sorted({pair.fit.canvas for pair in ordered}):
            own = [pair for pair in ordered if pair.fit.canvas == side]
            filled = own + own[-1:] * (len(pairs) - len(own))
            first, second = (
                stacked([self.canvas(pair.prints[i], pair.fit) for pair in filled]) for i in (0, 1)
            )
            yield Group(own, first, second)

    def align_stacked(self, canvases0: Canvas, canvases1: Canvas) -> list[Alignment]:
        """Register P pairs in the order in which they are given, in pixels of their frames.

        The arrays of both have a leading axis P.
        """
        config = self.config_of(canvases0)
        found = self.coarse(canvases0, canvases1)
        starts = stacked([starts_of(ways, config) for ways in found])
        refined = refine_pairs(
            canvases0.ridges, canvases1.ridges, starts, config, self.refine_config
        )
        made = []
        for index, ways in enumerate(found):
            if ways[0].num_inliers >= 3:
                placed = jax.tree.map(lambda x, i=index: x[i], refined)
                ways = [self._refined(one, placed, config) for one in ways]
            # All now lie at one place: the one whose matches say so too.
            best = max(ways, key=lambda one: one.num_inliers)
            made.append(judged(best, self.align_config))
        return made

    def config_of(self, canvas: Canvas) -> ModelConfig:
        """Return the settings of the networks on a canvas of this size."""
        return replace(self.config, canvas=canvas.ridges.image.shape[-1])

    def coarse(self, canvases0: Canvas, canvases1: Canvas) -> list[list[Alignment]]:
        """Align P pairs by Module 1 alone, in several ways each, the most confident first.

        The arrays of both have a leading axis P. Print 0 stays as it is, and print 1 is turned;
        one way more is core on core, whatever Module 1 made of it.
        """

        def log_p(H: np.ndarray, fields: np.ndarray | None) -> Array:
            moved = None if fields is None else jnp.asarray(fields, jnp.float32)
            return self._log_p(canvases0, canvases1, jnp.asarray(H, jnp.float32), moved)

        config = self.config_of(canvases0)
        hints = np.asarray(core_on_core(canvases0, canvases1, config), float)
        angles = search_angles(self.align_config)
        likely = likely_turns(canvases0, canvases1, angles, self.align_config.turns)
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

    def refine(
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
