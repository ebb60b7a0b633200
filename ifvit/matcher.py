"""The whole method: two prints to one decision that can be looked at, prints to templates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float

from ifvit.comparison.calibration import CALIBRATION_FILE, Calibration, calibration_of
from ifvit.comparison.result import MatchResult, result_of
from ifvit.comparison.score import FUSION, Fusion, scores
from ifvit.comparison.views import matcher_input, template_input
from ifvit.config import MATCH_CONFIG, MatchConfig
from ifvit.data.given import Ppi, PrintSource, name_of
from ifvit.features.canvas import Canvas, stacked
from ifvit.features.enhancer import EnhancerName
from ifvit.features.fit import FIT_CONFIG, FitConfig, drawn_at, of_one_canvas
from ifvit.features.prepared import PreparedPrint
from ifvit.files import sha256_of
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherInput, MatcherModel, MatcherOutput
from ifvit.registration.align import ALIGN_CONFIG, AlignConfig, align_config_of
from ifvit.registration.register import Registrar
from ifvit.runtime.jax_runtime import compiled
from ifvit.weights.checkpoint import check_same_shape, load_pair
from ifvit.weights.pretrained import DEFAULT, checkpoint_pair, pretrained_files

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
        fit = FIT_CONFIG if canvas is None else of_one_canvas(matcher.config, canvas)
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
        core (:mod:`ifvit.features.pose`): the same network without a partner, so that it can be
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
                result = result_of(
                    pair, alignments[row], found[row], corners[row], self.fusion, self.calibration
                )
                name0, name1 = names[pair.place]
                made[pair.place] = replace(pair.given(result), name0=name0, name1=name1)
        return [made[index] for index in range(len(pairs))]


@lru_cache(maxsize=1)
def _loaded(
    dense_ckpt: Path,
    matcher_ckpt: Path,
    enhancer: EnhancerName,
    canvas: int | None,
    calibration: str | Path | None,
    _written: tuple[int, ...],
) -> Matcher:
    return Matcher.from_checkpoints(dense_ckpt, matcher_ckpt, enhancer, canvas, calibration)


def match(
    print0: PrintSource,
    print1: PrintSource,
    *,
    dense_ckpt: str | Path | None = None,
    matcher_ckpt: str | Path | None = None,
    ppi: Ppi = None,
    enhancer: EnhancerName = "gabor",
    canvas: int | None = None,
    calibration: str | Path | None = None,
) -> MatchResult:
    """Match two prints; see :class:`MatchResult`.

    A print is a path, the bytes of an image file, an open binary file, a PIL image, or an array
    (H, W) of grey values, ridges dark (:func:`ifvit.data.given.grey_values`). ``ppi`` is the
    resolution of both, 500 if not given, or a pair: that of each.
    Without checkpoints by the weights that ship with ifvit; ``enhancer`` is one of
    :data:`ifvit.features.enhancer.EnhancerName`, of which only the first is calibrated; ``canvas``
    and ``calibration`` as in :meth:`Matcher.from_checkpoints`, and another canvas is not calibrated
    either. The loaded and compiled models are kept for the next call with the same, unchanged
    files. Prints that cannot be aligned give a result that says so. Raises FileNotFoundError for a
    missing file and ValueError for one that is no print or no checkpoint of its kind, for
    checkpoints that do not belong together, one without the other, and for an enhancer that cannot
    be had.
    """
    dense, module2 = checkpoint_pair(dense_ckpt, matcher_ckpt)
    files = dense, module2, Path(calibration or module2.with_name(CALIBRATION_FILE))
    written = tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in files)
    matcher = _loaded(dense, module2, enhancer, canvas, calibration, written)
    names = name_of(print0, 0), name_of(print1, 1)
    both = matcher.registrar.load_both(print0, print1, ppi)
    return matcher.match_pairs([both], [names])[0]
