"""The Aligner: Module 1 at work, and two prints laid on each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from ifvit.config import ModelConfig
from ifvit.features.enhancer import EnhancerName
from ifvit.features.extractor import Extractor
from ifvit.features.features import Features
from ifvit.features.fit import FIT_CONFIG, FitConfig
from ifvit.features.network_view import network_input
from ifvit.geometry.grid import cell_centres, frame_side
from ifvit.geometry.warp import warp
from ifvit.registration.align import (
    ALIGN_CONFIG,
    ALIGNED_RULE,
    AlignConfig,
    AlignedRule,
    align_config_of,
    matched,
    search_angles,
)
from ifvit.registration.alignment import Alignment
from ifvit.registration.hypotheses import (
    Hypotheses,
    better,
    joined,
    most_confident,
    rotations,
    suggested,
)
from ifvit.registration.pairing import DrawnPair, OrderedPair, drawn_pair, in_order
from ifvit.registration.placed import placed_by_ridges
from ifvit.registration.rectify import rectified, starts_of
from ifvit.registration.refine import REFINE_CONFIG, RefineConfig, refine
from ifvit.registration.turns import core_on_core, likely_turns
from ifvit.runtime.blas import by_one_thread
from ifvit.runtime.calls import Engine
from ifvit.runtime.engines import load_engine
from ifvit.weights.pretrained import pretrained_files


class Aligner:
    """A trained Module 1, ready to align prints."""

    def __init__(
        self,
        engine: Engine,
        align_config: AlignConfig = ALIGN_CONFIG,
        refine_config: RefineConfig = REFINE_CONFIG,
        enhancer: EnhancerName = "gabor",
        fit_config: FitConfig = FIT_CONFIG,
        rule: AlignedRule = ALIGNED_RULE,
    ) -> None:
        """Take what executes Module 1.

        Raises ValueError where its resolution does not divide 500 ppi, and as ``source_of`` does.
        """
        self.engine, self.config = engine, engine.config
        self.align_config = align_config
        self.refine_config = refine_config
        self.rule = rule
        self.side = frame_side(self.config)
        self.extractor = Extractor(engine, enhancer, fit_config)
        self._centres: dict[int, np.ndarray] = {}

    @classmethod
    def from_checkpoint(
        cls, dense_ckpt: str | Path | None = None, enhancer: EnhancerName = "gabor"
    ) -> Aligner:
        """Load a trained Module 1, to be used for the rotations that it was trained for.

        Without one it is that which ships with ifvit. Raises FileNotFoundError and ValueError as
        ``load_engine`` and ``pretrained_files`` do.
        """
        path = pretrained_files().dense if dense_ckpt is None else dense_ckpt
        engine, settings = load_engine(path)
        return cls(engine, align_config_of(settings), enhancer=enhancer)

    def register(self, print0: Features, print1: Features) -> Alignment:
        """Register two prints by Module 1, and below its cells by their ridges.

        Coordinates are pixels of the prints at 500 ppi. Swapped prints give the transposed
        alignment.
        """
        pair = in_order(print0, print1, self.extractor)
        return pair.given(self.register_ordered(pair).on_prints(*pair.frames))

    @by_one_thread
    def register_ordered(self, ordered: OrderedPair) -> Alignment:
        """Register a pair in its order, in pixels of its frames.

        By the ridges' flow the rotations that are worth a look; by Module 1 several hypotheses;
        from these, by the ridges themselves, one placement and the skin's distortion.
        """
        pair, settings = drawn_pair(ordered, self.extractor), self.align_config
        centres, ridges = self.centres(pair.config), (pair.frame0.ridges, pair.frame1.ridges)
        angles = likely_turns(pair.frame0, pair.frame1, search_angles(settings), settings.turns)
        found = self.search(pair, angles, core_on_core(pair.upright0, pair.upright1)[None])
        starts = starts_of(found, centres)
        refined = refine(*ridges, starts, pair.config, self.refine_config)
        return placed_by_ridges(found, refined, centres, pair.config, settings, self.rule)

    def search(
        self,
        pair: DrawnPair,
        angles: Float[np.ndarray, " A"],
        hints: Float[np.ndarray, "K 2 3"],
    ) -> Hypotheses:
        """Align a pair by Module 1 alone, in several ways, the most confident first.

        All rotations, ``angles`` in degrees, are one batch. The best of them, and the ``hints``,
        alignments that something else suggests, are looked at again, print 1 drawn as each says.
        Deterministic.
        Source: the method's rotation search and RANSAC (Qiu et al., IFViT).
        """
        found = self.look(pair, rotations(angles, pair.frame1.image.shape[0]))
        for row, kept in enumerate(self.align_config.followed):
            found = most_confident(found, kept)
            if row == 0:
                found = joined(suggested(hints, found), found)
            found = better(found, self.look(pair, found.H_0to1, found.displacement))
        return most_confident(found)

    def look(
        self,
        pair: DrawnPair,
        H_0to1: Float[np.ndarray, "A 2 3"],
        displacement: Float[np.ndarray, "A h w 2"] | None = None,
    ) -> Hypotheses:
        """Ask Module 1 about print 1 drawn in A ways, and rectify each by what it matched.

        What is drawn is the raw grey print and its foreground mask, reduced to the network's
        resolution and normalised there: so the one interpolation happens where a ridge period has
        nine pixels rather than four, and what a rotation brings in is no edge.
        """
        centres, settings = self.centres(pair.config), self.align_config
        drawn = warp(pair.frame1.image, pair.frame1.mask, H_0to1, displacement)
        view, cells1 = network_input(*drawn, pair.config)
        values0, cells0 = (np.repeat(array[None], len(H_0to1), axis=0) for array in pair.map0)
        found = self.engine.dense(values0, self.engine.backbone(view), cells0, cells1)
        ways = matched(found, H_0to1, centres, settings, displacement)
        return rectified(ways, centres, settings.inlier_px, settings.rectify)

    def centres(self, config: ModelConfig) -> Float[np.ndarray, "N 2"]:
        """Return the coarse cells' centres on a canvas, pixels of the frame."""
        if config.canvas not in self._centres:
            self._centres[config.canvas] = cell_centres(config).astype(np.float64)
        return self._centres[config.canvas]
