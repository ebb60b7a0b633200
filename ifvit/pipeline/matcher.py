"""Both trained modules at work: pairs of prints to scores, prints to templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

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
from ifvit.pipeline.canvas import Canvas, in_order, stacked, template_input
from ifvit.pipeline.enhancer import EnhancerName
from ifvit.pipeline.geometry import apply
from ifvit.pipeline.overlap import matcher_input
from ifvit.pipeline.register import Registrar, compiled
from ifvit.pipeline.result import MatchResult
from ifvit.pipeline.score import NOT_ALIGNED, pair_score, scores
from ifvit.weights.files import check_same_shape, load_pair
from ifvit.weights.pretrained import DEFAULT, checkpoint_pair, pretrained_files
from ifvit.weights.storage import sha256_of

PART = 32
"""A canvas is a multiple of this in pixels: 64 at 500 ppi, see :mod:`ifvit.pipeline.enhancer`."""
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
    ) -> None:
        """Take both models, which are used in eval mode and must have one ``ModelConfig``.

        Of ``match_config`` the fusion weights are used. Raises ValueError where the models differ
        in shape, or have a resolution that does not divide 500 ppi.
        """
        check_same_shape(dense, matcher)
        self.config = matcher.config
        self.fusion_global = match_config.fusion_global
        self.fusion_ridge = match_config.fusion_ridge
        self.fusion_match = match_config.fusion_match
        self.registrar = Registrar(dense, align_config, enhancer=enhancer)
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
        larger than in training: both networks take any, and prints of a large sensor fit in whole.
        ``calibration`` is a file of ``ifvit calibrate``, if not the one beside Module 2.
        Raises FileNotFoundError and ValueError as ``load_pair`` and ``checkpoint_pair`` do, and
        ValueError for a canvas that is too small, or a calibration that does not hold.
        """
        dense_ckpt, matcher_ckpt = checkpoint_pair(dense_ckpt, matcher_ckpt)
        (dense, dense_metadata), (matcher, metadata) = load_pair(dense_ckpt, matcher_ckpt)
        settings = metadata.settings()
        assert isinstance(settings, MatchConfig), "load_matcher accepts no other module"
        if canvas is not None:
            dense.config = matcher.config = _enlarged(matcher.config, canvas)
        loaded = cls(dense, matcher, settings, align_config_of(dense_metadata.settings()), enhancer)
        shas = loaded.dense_sha256, loaded.sha256 = sha256_of(dense_ckpt), sha256_of(matcher_ckpt)
        if enhancer == "gabor" and canvas is None:  # otherwise the scores are others
            loaded.calibration = calibration_of(matcher_ckpt, calibration, *shas)
        elif calibration is not None:
            raise ValueError(
                f"{calibration} does not hold for the enhancer {enhancer!r} and canvas {canvas}: "
                "a calibration is of both as they are by default"
            )
        return loaded

    @classmethod
    def from_pretrained(cls, name: str = DEFAULT) -> Matcher:
        """Load weights that ship with ifvit by name; raises as ``pretrained_files`` does."""
        return cls.from_checkpoints(*pretrained_files(name))

    def embed_pairs(
        self, canvases0: Canvas, canvases1: Canvas, H_0to1: Float[np.ndarray, "P 2 3"]
    ) -> tuple[MatcherOutput, Float[np.ndarray, "P 4 2"]]:
        """Run Module 2 on aligned pairs; return its output and the ROI's corners in image 0.

        The canvases' arrays have a leading axis P.
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

    def embed(self, canvases: Sequence[Canvas]) -> Float[np.ndarray, "P 2 E"]:
        """Return stand-alone templates of P prints: each one's global and local unit embedding.

        A template is the pair (print, print), upright by its own core (:mod:`ifvit.pipeline.pose`):
        the same network without a partner, so that it can be stored. Prints go through in batches
        of one size, which is compiled once.
        """
        made = [np.zeros((0, 2, self.config.embedding_dim), np.float32)]
        for start in range(0, len(canvases), EMBED_BATCH):
            few = list(canvases[start : start + EMBED_BATCH])
            padded = stacked(few + few[-1:] * (EMBED_BATCH - len(few)))
            output = self._embed(template_input(padded, self.config))
            both = np.stack([output.global0, output.local0], axis=1)
            made.append(np.asarray(both, np.float32)[: len(few)])
        return np.concatenate(made)

    def match_images(
        self,
        image0: Float[np.ndarray, "S S"] | Canvas,
        image1: Float[np.ndarray, "S S"] | Canvas,
        *,
        name0: str = "",
        name1: str = "",
    ) -> MatchResult:
        """Match two canvases, grey in [0, 1] at 500 ppi, or what ``registrar`` prepared.

        Swapped prints give the same scores and the transposed alignment. Two prints that cannot be
        aligned give a result that says so. Raises ValueError as :meth:`Registrar.prepare` does.
        """
        canvas0 = image0 if isinstance(image0, Canvas) else self.registrar.prepare(image0)
        canvas1 = image1 if isinstance(image1, Canvas) else self.registrar.prepare(image1)
        return self.match_pairs([(canvas0, canvas1)], [(name0, name1)])[0]

    def match_pairs(
        self, pairs: Sequence[tuple[Canvas, Canvas]], names: Sequence[tuple[str, str]]
    ) -> list[MatchResult]:
        """Match pairs of prepared prints, each as :meth:`match_images`, in calls that they share.

        Compiled once for each number of pairs.
        """
        if not pairs:
            return []
        swapped, canvases0, canvases1 = in_order(pairs)
        alignments = self.registrar.align_stacked(canvases0, canvases1)
        H_0to1 = np.stack([one.H_0to1 for one in alignments])
        output, corners = self.embed_pairs(canvases0, canvases1, H_0to1)
        found = np.stack(scores(output, self.fusion_global), axis=1)
        made = []
        for index, swap in enumerate(swapped):
            name0, name1 = names[index][::-1] if swap else names[index]
            pair = pairs[index][::-1] if swap else pairs[index]
            result = self._result(
                pair, alignments[index], found[index], corners[index], name0, name1
            )
            made.append(result.transposed(self.config) if swap else result)
        return made

    def _result(
        self,
        pair: tuple[Canvas, Canvas],
        alignment: Alignment,
        found: Float[np.ndarray, "3"],
        corners: Float[np.ndarray, "4 2"],
        name0: str,
        name1: str,
    ) -> MatchResult:
        """Return all that is known of a pair; Module 2's word counts where the prints align."""
        ok = alignment.ok
        embedded, ridges = float(found[2]), alignment.ridge_ncc
        fusion = self.fusion_ridge, self.fusion_match
        score = pair_score(embedded, ridges, alignment.match_share, *fusion) if ok else NOT_ALIGNED
        return MatchResult(
            status="ok" if ok else "not_aligned",
            reason=alignment.reason,
            score=score,
            global_score=float(found[0]) if ok else None,
            local_score=float(found[1]) if ok else None,
            ridge_score=ridges,
            match_score=alignment.match_share,
            num_matches=len(alignment.points0),
            num_inliers=alignment.num_inliers,
            alignment=alignment,
            image0=np.asarray(pair[0].image),
            image1=np.asarray(pair[1].image),
            roi0=corners if ok else None,
            roi1=apply(alignment.H_0to1, corners) if ok else None,
            name0=name0,
            name1=name1,
            overlap_mm2=alignment.overlap_mm2,
            fmr=None if self.calibration is None else self.calibration.fmr(score),
        )


def _enlarged(config: ModelConfig, canvas: int) -> ModelConfig:
    if canvas < config.canvas or canvas % PART:
        raise ValueError(
            f"a canvas of {canvas} pixels: expected a multiple of {PART}, at least the "
            f"{config.canvas} that the networks were trained with"
        )
    return replace(config, canvas=canvas)
