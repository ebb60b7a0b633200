"""The whole method: two prints to one decision that can be looked at, prints to templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from flax import nnx
from jaxtyping import Float

from ifvit.comparison.decision import DECISION, DECISION_FILE, Decision, decision_of, holding
from ifvit.comparison.fingerprint import fingerprint_of
from ifvit.comparison.result import MatchResult, result_of
from ifvit.comparison.score import scores
from ifvit.comparison.views import pair_views, template_input
from ifvit.data.given import Ppi, PrintSource
from ifvit.features.enhancer import EnhancerName
from ifvit.features.extractor import Extractor
from ifvit.features.features import Features
from ifvit.features.fit import FIT_CONFIG, FitConfig, drawn_at, of_one_canvas
from ifvit.features.frame_features import FrameFeatures, stacked
from ifvit.files import sha256_of
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherModel
from ifvit.registration.align import ALIGN_CONFIG, AlignConfig, align_config_of
from ifvit.registration.aligner import Aligner
from ifvit.registration.pairing import grouped
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
        decision: Decision = DECISION,
        align_config: AlignConfig = ALIGN_CONFIG,
        enhancer: EnhancerName = "gabor",
        fit_config: FitConfig = FIT_CONFIG,
    ) -> None:
        """Take both models, which are used in eval mode and must have one ``ModelConfig``.

        Raises ValueError where the models differ in shape, or have a resolution that does not
        divide 500 ppi.
        """
        check_same_shape(dense, matcher)
        self.config = matcher.config
        self.decision = decision
        self.aligner = Aligner(
            dense,
            align_config,
            enhancer=enhancer,
            fit_config=fit_config,
            dense_sha256=decision.dense_sha256,
            rule=decision.rule,
        )
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
        usual = enhancer == "gabor" and canvas is None
        if calibration is not None and not usual:
            raise ValueError(
                f"{calibration} does not hold for the enhancer {enhancer!r} and canvas {canvas}: "
                "a calibration is of both as they are by default"
            )
        dense_ckpt, matcher_ckpt = checkpoint_pair(dense_ckpt, matcher_ckpt)
        (dense, dense_metadata), (matcher, _) = load_pair(dense_ckpt, matcher_ckpt)
        weights = sha256_of(dense_ckpt), sha256_of(matcher_ckpt)
        decision = decision_of(matcher_ckpt, calibration, weights)
        fit = FIT_CONFIG if canvas is None else of_one_canvas(matcher.config, canvas)
        search = align_config_of(dense_metadata.settings())
        loaded = cls(dense, matcher, decision, search, enhancer, fit)
        if usual:  # otherwise the scores are others
            fingerprint = loaded.fingerprint
            loaded.decision = holding(decision, matcher_ckpt, calibration, fingerprint)
        else:
            loaded.decision = replace(decision, impostor=None)
        return loaded

    @property
    def extractor(self) -> Extractor:
        """Return what makes Features of prints."""
        return self.aligner.extractor

    @property
    def fingerprint(self) -> str:
        """Return the sha256 of every setting that decides a score, beside the weights."""
        aligner, extractor = self.aligner, self.extractor
        return fingerprint_of(
            {
                "fit": asdict(extractor.fit_config),
                "align": asdict(aligner.align_config),
                "refine": asdict(aligner.refine_config),
                "enhancer": extractor.enhancer,
                **self.decision.record,
            }
        )

    @classmethod
    def from_pretrained(cls, name: str = DEFAULT) -> Matcher:
        """Load weights that ship with ifvit by name; raises as ``pretrained_files`` does."""
        return cls.from_checkpoints(*pretrained_files(name))

    def extract(
        self, given: PrintSource | Features, ppi: float | None = None, name: str = ""
    ) -> Features:
        """Read and measure a print once, for as many matches and templates as are wanted.

        A print is whatever :func:`match` takes; ``ppi`` is its resolution, 500 if not given, and
        ``name`` what one that is no file is called. Raises FileNotFoundError and ValueError as
        :func:`ifvit.data.given.grey_values` does, and ValueError where it shows no fingerprint.
        """
        return self.extractor.extract(given, ppi, name)

    def embed(self, prints: Sequence[Features]) -> Float[np.ndarray, "P 2 E"]:
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

    def _template_canvas(self, item: Features) -> FrameFeatures:
        """Draw a print at its own scale on the canvas that Module 2 was trained with."""
        scale = self.extractor.fit(item).scale
        return self.extractor.at(item, drawn_at(scale, self.config.canvas, self.config))

    def match(
        self, print0: PrintSource | Features, print1: PrintSource | Features, *, ppi: Ppi = None
    ) -> MatchResult:
        """Match two prints: whatever :meth:`extract` takes, or what it has made.

        ``ppi`` is the resolution of both, or of each. Swapped prints give the same scores and the
        transposed alignment. Two prints that cannot be aligned give a result that says so. Raises
        as :meth:`extract` does.
        """
        return self.match_pairs([self.extractor.extract_both(print0, print1, ppi)])[0]

    def match_pairs(self, pairs: Sequence[tuple[Features, Features]]) -> list[MatchResult]:
        """Match pairs of prints, each as :meth:`match` does, in calls that they share.

        Compiled once for each number of pairs and each canvas.
        """
        made: dict[int, MatchResult] = {}
        for group in grouped(pairs, self.extractor):
            alignments = self.aligner.register_group(group)
            H_0to1 = np.stack([one.H_0to1 for one in alignments])
            views, corners = pair_views(group.frames0, group.frames1, H_0to1, self.config)
            share = self.decision.fusion.global_share
            found = np.stack(scores(self._embed(views), share), axis=1)
            for row, pair in enumerate(group.pairs):
                result = result_of(pair, alignments[row], found[row], corners[row], self.decision)
                made[pair.place] = pair.given(result)
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
    files = dense, module2, Path(calibration or module2.with_name(DECISION_FILE))
    written = tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in files)
    matcher = _loaded(dense, module2, enhancer, canvas, calibration, written)
    return matcher.match(print0, print1, ppi=ppi)
