"""Both trained modules at work: pairs of prints to scores, prints to templates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from ifvit.config import MATCH_CONFIG, MatchConfig, ModelConfig
from ifvit.models.matcher import MatcherInput, MatcherModel, MatcherOutput
from ifvit.models.registration import DenseRegModel
from ifvit.pipeline.align import ALIGN_CONFIG, AlignConfig, align_config_of
from ifvit.pipeline.alignment import Alignment
from ifvit.pipeline.calibration import Calibration, calibration_of
from ifvit.pipeline.canvas import Canvas, stacked, template_input
from ifvit.pipeline.dense_map import compiled
from ifvit.pipeline.enhancer import EnhancerName
from ifvit.pipeline.fit import FIT_CONFIG, PART, FitConfig, drawn_at
from ifvit.pipeline.geometry import apply
from ifvit.pipeline.overlap import matcher_input
from ifvit.pipeline.pairing import OrderedPair
from ifvit.pipeline.prepared import PreparedPrint
from ifvit.pipeline.register import Registrar
from ifvit.pipeline.result import MatchResult
from ifvit.pipeline.score import FUSION, NOT_ALIGNED, Fusion, pair_score, scores
from ifvit.weights.files import check_same_shape, load_pair
from ifvit.weights.pretrained import DEFAULT, checkpoint_pair, pretrained_files
from ifvit.weights.storage import sha256_of

EMBED_BATCH = 8
"""Prints whose templates are made in one call."""


class Matcher:
    """The two trained modules, ready to compare prints. Compiles once, then serves any number."""

    def __init__(
        self,
        dense: DenseRegModel,
        matcher: MatcherModel,
        match_config: MatchConfig = MATCH_CONFIG,
        align_config: AlignConfig = ALIGN_CONFIG,
        enhancer: EnhancerName = "gabor",
        fit_config: FitConfig = FIT_CONFIG,
        fusion: Fusion = FUSION,
    ) -> None:
        """Take both models, which are used in eval mode and must have one ``ModelConfig``.

        Of ``match_config`` the weight of the global embedding is used. Raises ValueError where the
        models differ in shape, or have a resolution that does not divide 500 ppi.
        """
        check_same_shape(dense, matcher)
        self.config = matcher.config
        self.fusion_global = match_config.fusion_global
        self.fusion = fusion
        self.registrar = Registrar(dense, align_config, enhancer=enhancer, fit_config=fit_config)
        self.dense_sha256 = self.sha256 = ""
        """Of Module 1's and Module 2's checkpoints, where they came from such."""
        self.calibration: Calibration | None = None
        self._embed = compiled(nnx.view(matcher, use_running_average=True), MatcherModel.__call__)

    @classmethod
    def from_checkpoints(
        cls,
        dense_ckpt: str | Path | None = None,
        matcher_ckpt: str | Path | None = None,
        enhancer: EnhancerName = "gabor",
        canvas: int | None = None,
        calibration: str | Path | None = None,
    ) -> Matcher:
        """Load both modules, which must belong together, or those that ship with ifvit.

        ``canvas`` is the side of the canvas in pixels at the network's resolution, if it is to be
        the same for all prints; otherwise each pair has one that it fits in.
        ``calibration`` is a file of ``ifvit calibrate``, if not the one beside Module 2.
        Raises FileNotFoundError and ValueError as ``load_pair`` and ``checkpoint_pair`` do, and
        ValueError for a canvas that is too small, or a calibration that does not hold.
        """
        dense_ckpt, matcher_ckpt = checkpoint_pair(dense_ckpt, matcher_ckpt)
        (dense, dense_metadata), (matcher, metadata) = load_pair(dense_ckpt, matcher_ckpt)
        settings = metadata.settings()
        assert isinstance(settings, MatchConfig), "load_matcher accepts no other module"
        fit = FIT_CONFIG if canvas is None else _of_one_canvas(matcher.config, canvas)
        search = align_config_of(dense_metadata.settings())
        loaded = cls(dense, matcher, settings, search, enhancer, fit)
        shas = loaded.dense_sha256, loaded.sha256 = sha256_of(dense_ckpt), sha256_of(matcher_ckpt)
        if enhancer == "gabor" and canvas is None:  # otherwise the scores are others
            origin = (*shas, loaded.settings_sha256)
            loaded.calibration = calibration_of(matcher_ckpt, calibration, origin)
        elif calibration is not None:
            raise ValueError(
                f"{calibration} does not hold for the enhancer {enhancer!r} and canvas {canvas}: "
                "a calibration is of both as they are by default"
            )
        return loaded

    @property
    def settings(self) -> dict[str, Any]:
        """Return every setting that decides a score, beside the weights."""
        registrar = self.registrar
        return {
            "fit": asdict(registrar.fit_config),
            "align": asdict(registrar.align_config),
            "refine": asdict(registrar.refine_config),
            "enhancer": registrar.enhancer,
            "fusion_global": self.fusion_global,
            "fusion": self.fusion._asdict(),
        }

    @property
    def settings_sha256(self) -> str:
        """Return a digest of :attr:`settings`, by which a calibration knows its scores."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()

    @classmethod
    def from_pretrained(cls, name: str = DEFAULT) -> Matcher:
        """Load weights that ship with ifvit by name; raises as ``pretrained_files`` does."""
        return cls.from_checkpoints(*pretrained_files(name))

    def embed_pairs(
        self, canvases0: Canvas, canvases1: Canvas, H_0to1: Float[np.ndarray, "P 2 3"]
    ) -> tuple[MatcherOutput, Float[np.ndarray, "P 4 2"]]:
        """Run Module 2 on aligned pairs; return its output and the ROI's corners in frame 0.

        The canvases' arrays have a leading axis P, the transforms are of their frames.
        """
        sources = None
        if canvases0.source is not None and canvases1.source is not None:
            sources = canvases0.source, canvases1.source
        views: MatcherInput
        views, corner = matcher_input(
            canvases0.image,
            canvases0.mask,
            canvases1.image,
            canvases1.mask,
            jnp.asarray(H_0to1, jnp.float32),
            self.config,
            sources,
            canvases0.shown,
        )
        square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * self.config.roi_px
        return self._embed(views), np.asarray(corner)[:, None] + square - 0.5

    def embed(self, prints: Sequence[PreparedPrint]) -> Float[np.ndarray, "P 2 E"]:
        """Return stand-alone templates of P prints: each one's global and local unit embedding.

        A template is the pair (print, print), at the scale of its own ridges and upright by its own
        core (:mod:`ifvit.pipeline.pose`): the same network without a partner, so that it can be
        stored. Prints go through in batches of one size, which is compiled once.
        """
        made = [np.zeros((0, 2, self.config.embedding_dim), np.float32)]
        for start in range(0, len(prints), EMBED_BATCH):
            few = [self._template_canvas(one) for one in prints[start : start + EMBED_BATCH]]
            padded = stacked(few + few[-1:] * (EMBED_BATCH - len(few)))
            output = self._embed(template_input(padded, self.config))
            both = np.stack([output.global0, output.local0], axis=1)
            made.append(np.asarray(both, np.float32)[: len(few)])
        return np.concatenate(made)

    def _template_canvas(self, item: PreparedPrint) -> Canvas:
        """Draw a print at its own scale on the canvas that Module 2 was trained with."""
        scale = self.registrar.fit(item).scale
        return self.registrar.canvas(item, drawn_at(scale, self.config.canvas, self.config))

    def match_images(
        self,
        image0: Float[np.ndarray, "H0 W0"] | PreparedPrint,
        image1: Float[np.ndarray, "H1 W1"] | PreparedPrint,
        *,
        name0: str = "",
        name1: str = "",
    ) -> MatchResult:
        """Match two prints, grey in [0, 1] at 500 ppi, or what ``registrar`` loaded or prepared.

        Swapped prints give the same scores and the transposed alignment. Two prints that cannot be
        aligned give a result that says so. Raises ValueError as :meth:`Registrar.prepare` does.
        """
        both = self.registrar.prepare(image0), self.registrar.prepare(image1)
        return self.match_pairs([both], [(name0, name1)])[0]

    def match_pairs(
        self,
        pairs: Sequence[tuple[PreparedPrint, PreparedPrint]],
        names: Sequence[tuple[str, str]],
    ) -> list[MatchResult]:
        """Match pairs of prepared prints, each as :meth:`match_images`, in calls that they share.

        Compiled once for each number of pairs and each canvas.
        """
        made: dict[int, MatchResult] = {}
        for group in self.registrar.groups(pairs):
            alignments = self.registrar.align_stacked(group.canvases0, group.canvases1)
            H_0to1 = np.stack([one.H_0to1 for one in alignments])
            output, corners = self.embed_pairs(group.canvases0, group.canvases1, H_0to1)
            found = np.stack(scores(output, self.fusion_global), axis=1)
            for row, pair in enumerate(group.pairs):
                result = self._result(pair, alignments[row], found[row], corners[row])
                name0, name1 = names[pair.place]
                made[pair.place] = replace(pair.given(result), name0=name0, name1=name1)
        return [made[index] for index in range(len(pairs))]

    def _result(
        self,
        pair: OrderedPair,
        framed: Alignment,
        found: Float[np.ndarray, "3"],
        corners: Float[np.ndarray, "4 2"],
    ) -> MatchResult:
        """Return all that is known of a pair; Module 2's word counts where the prints align."""
        (print0, print1), (frame0, frame1) = pair.prints, pair.frames
        alignment, ok = framed.on_prints(frame0, frame1), framed.ok
        evidence, embedded = alignment.evidence, float(found[2])
        score = pair_score(embedded, evidence, self.fusion) if ok else NOT_ALIGNED
        return MatchResult(
            status="ok" if ok else "not_aligned",
            reason=alignment.reason,
            score=score,
            global_score=float(found[0]) if ok else None,
            local_score=float(found[1]) if ok else None,
            ridge_score=alignment.ridge_ncc,
            block_score=alignment.block_share,
            match_score=alignment.match_share,
            num_matches=len(alignment.points0),
            num_inliers=alignment.num_inliers,
            alignment=alignment,
            image0=print0.image,
            image1=print1.image,
            roi0=frame0.on_print(corners) if ok else None,
            roi1=frame1.on_print(apply(framed.H_0to1, corners)) if ok else None,
            overlap_mm2=alignment.overlap_mm2,
            left_out=max(one.left_out(pair.fit) for one in pair.prints),
            fmr=None if self.calibration is None else self.calibration.fmr(score),
        )


def _of_one_canvas(config: ModelConfig, canvas: int) -> FitConfig:
    """Return a fit whose canvas is this one for all prints."""
    if canvas < config.canvas or canvas % PART:
        raise ValueError(
            f"a canvas of {canvas} pixels: expected a multiple of {PART}, at least the "
            f"{config.canvas} that the networks were trained with"
        )
    return replace(FIT_CONFIG, sizes=(canvas / config.canvas,))
