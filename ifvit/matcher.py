"""The Matcher, the whole method: two prints to one decision, one print against many, templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ifvit.comparison.decision import DECISION, Decision, decision_of, holding
from ifvit.comparison.fingerprint import fingerprint_of
from ifvit.comparison.result import MatchResult, result_of
from ifvit.data.given import Ppi, PrintSource, each_ppi
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
from ifvit.runtime.jax_runtime import pairs_at_once
from ifvit.weights.checkpoint import check_same_shape, load_pair
from ifvit.weights.pretrained import DEFAULT, checkpoint_pair, pretrained_files


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
        self.coder = Coder(matcher, fit_config, decision.matcher_sha256)

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
        return self.match_pairs([self.extractor.extract_both(print0, print1, ppi)], 1)[0]

    def match_many(
        self,
        probe: PrintSource | Features,
        candidates: Sequence[PrintSource | Features],
        *,
        ppi: Ppi = None,
    ) -> list[MatchResult]:
        """Match one print with many, each pair as :meth:`match` does; results are in their order.

        The probe is read once, and drawn once for each factor that a candidate asks for. ``ppi`` is
        the resolution of all, or the probe's and that of all candidates. Raises as :meth:`extract`
        does.
        """
        (ppi0, ppi1), size = each_ppi(ppi), pairs_at_once()
        features, made = self.extract(probe, ppi0, "the probe"), list[MatchResult]()
        # Some at a time: what is made of a candidate can be forgotten after its match.
        for start in range(0, len(candidates), size):
            few = enumerate(candidates[start : start + size], start)
            found = [self.extract(one, ppi1, f"candidate {place}") for place, one in few]
            made += self.match_pairs([(features, one) for one in found], size)
        return made

    def match_pairs(
        self, pairs: Sequence[tuple[Features, Features]], at_once: int | None = None
    ) -> list[MatchResult]:
        """Match pairs of prints, each as :meth:`match` does.

        ``at_once`` share one call, which is compiled once for that number and each canvas; if not
        given as many as are worth it on this machine (:func:`pairs_at_once`).
        """
        made: dict[int, MatchResult] = {}
        for group in grouped(pairs, self.extractor, at_once or pairs_at_once()):
            alignments = self.aligner.register_group(group)
            for pair, alignment in zip(group.pairs, alignments, strict=False):
                first, second = (self.coder.template(one) for one in pair.prints)
                found = result_of(pair, alignment, (first, second), self.decision)
                made[pair.place] = pair.given(found)
        return [made[index] for index in range(len(pairs))]
