"""The whole method: two prints to one decision that can be looked at, prints to templates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from ifvit.comparison.calibration import CALIBRATION_FILE, Calibration, calibration_of
from ifvit.comparison.result import MatchResult, result_of
from ifvit.comparison.score import FUSION, Fusion
from ifvit.data.given import Ppi, PrintSource
from ifvit.features.coder import Coder, Template
from ifvit.features.enhancer import EnhancerName
from ifvit.features.extractor import Extractor
from ifvit.features.features import Features
from ifvit.features.fit import FIT_CONFIG, FitConfig, of_one_canvas
from ifvit.files import sha256_of
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherModel
from ifvit.registration.align import ALIGN_CONFIG, AlignConfig, align_config_of
from ifvit.registration.aligner import Aligner
from ifvit.registration.pairing import grouped
from ifvit.weights.checkpoint import check_same_shape, load_pair
from ifvit.weights.pretrained import DEFAULT, checkpoint_pair, pretrained_files


class Matcher:
    """The two trained modules, ready to compare prints. Compiles once, then serves any number."""

    def __init__(
        self,
        dense: DenseRegModel,
        matcher: MatcherModel,
        align_config: AlignConfig = ALIGN_CONFIG,
        enhancer: EnhancerName = "gabor",
        fit_config: FitConfig = FIT_CONFIG,
        fusion: Fusion = FUSION,
        *,
        dense_sha256: str = "",
        matcher_sha256: str = "",
    ) -> None:
        """Take both models, which are used in eval mode and must have one ``ModelConfig``.

        Raises ValueError where the models differ in shape, or have a resolution that does not
        divide 500 ppi.
        """
        check_same_shape(dense, matcher)
        self.config = matcher.config
        self.fusion = fusion
        self.aligner = Aligner(
            dense,
            align_config,
            enhancer=enhancer,
            fit_config=fit_config,
            dense_sha256=dense_sha256,
        )
        self.dense_sha256, self.sha256 = dense_sha256, matcher_sha256
        """Of Module 1's and Module 2's checkpoints, where they came from such."""
        self.calibration: Calibration | None = None
        self.coder = Coder(matcher, fit_config, matcher_sha256)

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
        (dense, dense_metadata), (matcher, _) = load_pair(dense_ckpt, matcher_ckpt)
        fit = FIT_CONFIG if canvas is None else of_one_canvas(matcher.config, canvas)
        search = align_config_of(dense_metadata.settings())
        shas = sha256_of(dense_ckpt), sha256_of(matcher_ckpt)
        loaded = cls(
            dense,
            matcher,
            search,
            enhancer,
            fit,
            dense_sha256=shas[0],
            matcher_sha256=shas[1],
        )
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
    def extractor(self) -> Extractor:
        """Return what makes Features of prints."""
        return self.aligner.extractor

    @property
    def settings(self) -> dict[str, Any]:
        """Return every setting that decides a score, beside the weights."""
        aligner, extractor = self.aligner, self.extractor
        return {
            "fit": asdict(extractor.fit_config),
            "align": asdict(aligner.align_config),
            "refine": asdict(aligner.refine_config),
            "enhancer": extractor.enhancer,
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

    def extract(
        self, given: PrintSource | Features, ppi: float | None = None, name: str = ""
    ) -> Features:
        """Read and measure a print once, for as many matches and templates as are wanted.

        A print is whatever :func:`match` takes; ``ppi`` is its resolution, 500 if not given, and
        ``name`` what one that is no file is called. Raises FileNotFoundError and ValueError as
        :func:`ifvit.data.given.grey_values` does, and ValueError where it shows no fingerprint.
        """
        return self.extractor.extract(given, ppi, name)

    def embed(self, prints: Sequence[PrintSource | Features]) -> list[Template]:
        """Return the templates of prints, each in its own pose: what can be stored and searched.

        Fixed in length, and made without a partner. Raises as :meth:`extract` does.
        """
        return [self.coder.template(self.extract(one)) for one in prints]

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
            for pair, alignment in zip(group.pairs, alignments, strict=False):
                templates = (self.coder.template(one) for one in pair.prints)
                found = result_of(pair, alignment, tuple(templates), self.fusion, self.calibration)
                made[pair.place] = pair.given(found)
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
    return matcher.match(print0, print1, ppi=ppi)
