"""The Aligner: Module 1 at work, and two prints laid on each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

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
    reached,
    search_angles,
)
from ifvit.registration.alignment import Alignment
from ifvit.registration.hypotheses import (
    Hypotheses,
    better,
    joined,
    most_confident,
    rotations,
    turned_and_scaled,
)
from ifvit.registration.pairing import DrawnPair, OrderedPair, drawn_pair, in_order
from ifvit.registration.placed import placed_by_ridges
from ifvit.registration.rectify import rectified, starts_of
from ifvit.registration.refine import REFINE_CONFIG, RefineConfig, Refined, refine
from ifvit.registration.turns import likely_turns
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
        """Take the engine that executes Module 1.

        Raises ValueError where its resolution does not divide 500 ppi, and as ``source_of`` does.
        """
        self.engine, self.config = engine, engine.config
        self.align_config = align_config
        self.refine_config = refine_config
        self.rule = rule
        self.side = frame_side(self.config)
        self.extractor = Extractor(engine, enhancer, fit_config)

    @classmethod
    def from_checkpoint(
        cls, dense_ckpt: str | Path | None = None, enhancer: EnhancerName = "gabor"
    ) -> Aligner:
        """Load a trained Module 1, with a search that suits the rotations it was trained for.

        Without a checkpoint, the weights that ship with ifvit are used. Raises FileNotFoundError
        and ValueError as ``load_engine`` and ``pretrained_files`` do.
        """
        path = pretrained_files().dense if dense_ckpt is None else dense_ckpt
        engine, settings = load_engine(path)
        return cls(engine, align_config_of(settings), enhancer=enhancer)

    def register(self, print0: Features, print1: Features) -> Alignment:
        """Register two prints: to a coarse cell by Module 1, then finely by their ridges.

        Coordinates are pixels of the prints at 500 ppi. Swapped prints give the transposed
        alignment.
        """
        pair = in_order(print0, print1, self.extractor)
        return pair.given(self.register_ordered(pair).on_prints(*pair.frames))

    @by_one_thread
    def register_ordered(
        self, ordered: OrderedPair, hint: Float[np.ndarray, "2 3"] | None = None
    ) -> Alignment:
        """Register a pair in its order, in pixels of its frames.

        The ``hint`` is the transform by which the poses of both prints lie on each other, in pixels
        of the prints at 500 ppi; if not given, poses are taken from the flow of the ridges. Where
        Module 1 and the ridges are certain of what the hint leads to, nothing else is searched.
        Otherwise the flow selects some rotations, Module 1 makes hypotheses of these, and the
        ridges choose one placement and find the skin's distortion.
        """
        pair, settings = drawn_pair(ordered, self.extractor, hint), self.align_config
        found = self.look(pair, pair.hint[None])
        if alignment := self.brief(pair, found, settings.clear):
            return alignment
        angles = likely_turns(pair.frame0, pair.frame1, search_angles(settings), settings.turns)
        turned = self.look(pair, rotations(angles, pair.frame0.image.shape[0]))
        if alignment := self.brief(pair, turned, settings.clear):
            return alignment
        found = joined(found, turned)
        if self.saw(pair, found, settings.faint):
            found = self.search(pair, found, settings.followed)
            if alignment := self.brief(pair, found, settings.clear_again):
                return alignment
        else:
            found = most_confident(found, 1)
        return self.placed(pair, found, self.refined(pair, found, self.refine_config))

    @by_one_thread
    def register_otherwise(
        self, ordered: OrderedPair, hint: Float[np.ndarray, "2 3"] | None = None
    ) -> Alignment:
        """Register a pair that is in doubt a second time, in pixels of its frames.

        Module 1 sees print 1 turned and scaled about the ``hint``
        (:attr:`AlignConfig.other_scales`), which is as in :meth:`register_ordered`, and what it is
        most confident of is followed.
        """
        pair, settings = drawn_pair(ordered, self.extractor, hint), self.align_config
        ways = settings.other_scales, settings.other_turns
        drawn = turned_and_scaled(pair.hint, *ways, pair.frame0.image.shape[0])
        found = self.search(pair, self.look(pair, drawn), settings.followed)
        return self.placed(pair, found, self.refined(pair, found, self.refine_config))

    def saw(self, pair: DrawnPair, found: Hypotheses, enough: float) -> bool:
        """Return whether the best hypothesis reaches a limit of the summed confidence."""
        return reached(most_confident(found, 1), enough, pair.cells, self.align_config)

    def brief(self, pair: DrawnPair, found: Hypotheses, enough: float) -> Alignment | None:
        """Return the alignment that the best hypothesis leads to, or None where it is not certain.

        It is certain where its summed confidence reaches ``enough``, and where, after one more
        pass of Module 1, the ridges correlate by :attr:`AlignConfig.clear_ncc`.
        """
        if not self.saw(pair, found, enough):
            return None
        found = self.search(pair, found, (1,))
        refined = self.refined(pair, found, self.refine_config.briefly)
        if refined.ncc < self.align_config.clear_ncc:
            return None
        return self.placed(pair, found, refined)

    def search(self, pair: DrawnPair, found: Hypotheses, followed: tuple[int, ...]) -> Hypotheses:
        """Align a pair by Module 1 alone; return several hypotheses, the most confident first.

        For each number in ``followed``, so many of the best hypotheses are kept, and Module 1 sees
        the pair again with print 1 drawn by each, for as long as the best one is promising.
        Deterministic. Source: the method's rotation search and RANSAC (Qiu et al., IFViT).
        """
        for kept in followed:
            found = most_confident(found, kept)
            found = most_confident(better(found, self.look(pair, found.H_0to1, found.displacement)))
            if not self.saw(pair, found, self.align_config.promising):
                break
        return found

    def refined(self, pair: DrawnPair, found: Hypotheses, settings: RefineConfig) -> Refined:
        """Lay the ridges of a pair on each other, starting from Module 1's hypotheses."""
        ridges = pair.frame0.ridges, pair.frame1.ridges
        return refine(*ridges, starts_of(found), pair.config, settings)

    def placed(self, pair: DrawnPair, found: Hypotheses, refined: Refined) -> Alignment:
        """Return the alignment that hypotheses and ridges give, in pixels of the frames."""
        centres, config = cell_centres(pair.config), pair.config
        return placed_by_ridges(found, refined, centres, config, self.align_config, self.rule)

    def look(
        self,
        pair: DrawnPair,
        H_0to1: Float[np.ndarray, "A 2 3"],
        displacement: Float[np.ndarray, "A h w 2"] | None = None,
    ) -> Hypotheses:
        """Match print 1, drawn in A ways, by Module 1, and rectify each hypothesis by its matches.

        The raw grey print and its foreground mask are drawn, and then reduced to the network's
        resolution and normalised there: so the only interpolation happens where a ridge period has
        nine pixels rather than four, and the border that a rotation brings in is no edge.
        """
        centres, settings = cell_centres(pair.config), self.align_config
        drawn = warp(pair.frame1.image, pair.frame1.mask, H_0to1, displacement)
        view, cells1 = network_input(*drawn, pair.config)
        values0, cells0 = (np.repeat(array[None], len(H_0to1), axis=0) for array in pair.map0)
        found = self.engine.dense(values0, self.engine.backbone(view), cells0, cells1)
        ways = matched(found, H_0to1, centres, settings, displacement)
        return rectified(ways, centres, settings.inlier_px, settings.rectify)
