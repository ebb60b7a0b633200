"""The Matcher, the whole method: two prints to one decision, one print against many, templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from ifvit.comparison.decision import DECISION, Decision, decision_of, holding
from ifvit.comparison.fingerprint import fingerprint_of
from ifvit.comparison.result import MatchResult, result_of
from ifvit.comparison.score import in_doubt
from ifvit.data.given import Ppi, PrintSource, each_ppi
from ifvit.features.coder import Coder, Template
from ifvit.features.enhancer import EnhancerName
from ifvit.features.extractor import Extractor
from ifvit.features.features import Features
from ifvit.features.fit import FIT_CONFIG, FitConfig, of_one_canvas
from ifvit.numpy_settings import usual_float_errors
from ifvit.registration.align import ALIGN_CONFIG, AlignConfig, align_config_of
from ifvit.registration.aligner import Aligner
from ifvit.registration.pairing import OrderedPair, core_on_core, in_order
from ifvit.runtime.calls import Engine
from ifvit.runtime.engines import load_engine
from ifvit.runtime.threads import in_parallel
from ifvit.weights.hub import named_files
from ifvit.weights.pretrained import DEFAULT, module_files


class Matcher:
    """The two trained modules, ready to compare prints. Threads may share one."""

    def __init__(
        self,
        engine: Engine,
        decision: Decision = DECISION,
        align_config: AlignConfig = ALIGN_CONFIG,
        enhancer: EnhancerName = "gabor",
        fit_config: FitConfig = FIT_CONFIG,
    ) -> None:
        """Take the engine that executes both modules.

        Raises ValueError where their resolution does not divide 500 ppi.
        """
        self.engine, self.config = engine, engine.config
        self.decision = decision
        self.aligner = Aligner(
            engine,
            align_config,
            enhancer=enhancer,
            fit_config=fit_config,
            rule=decision.rule,
        )
        self.coder = Coder(engine, fit_config)

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
        Raises FileNotFoundError and ValueError as ``load_engine`` and ``module_files`` do, and
        ValueError for a canvas that is too small, or a calibration that does not hold.
        """
        usual = enhancer == "gabor" and canvas is None
        if calibration is not None and not usual:
            raise ValueError(
                f"{calibration} does not hold for the enhancer {enhancer!r} and canvas {canvas}: "
                "a calibration is valid only for the defaults of both"
            )
        dense_ckpt, matcher_ckpt = module_files(dense_ckpt, matcher_ckpt)
        engine, settings = load_engine(dense_ckpt, matcher_ckpt)
        weights = engine.dense_sha256, engine.matcher_sha256
        decision = decision_of(matcher_ckpt, calibration, weights)
        fit = FIT_CONFIG if canvas is None else of_one_canvas(engine.config, canvas)
        loaded = cls(engine, decision, align_config_of(settings), enhancer, fit)
        if usual:  # otherwise the scores are others
            fingerprint = loaded.fingerprint
            loaded.decision = holding(decision, matcher_ckpt, calibration, fingerprint)
        else:
            loaded.decision = replace(decision, impostor=None)
        return loaded

    @property
    def extractor(self) -> Extractor:
        """Return the Extractor, which makes Features of prints."""
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
    def from_pretrained(cls, name: str | Path = DEFAULT) -> Matcher:
        """Load weights that ship with ifvit by name, those of a folder, or a hub's ``owner/name``.

        A folder is one that ``ifvit release`` wrote. Raises as ``named_files`` does.
        """
        return cls.from_checkpoints(*named_files(name))

    @usual_float_errors()
    def extract(
        self, given: PrintSource | Features, ppi: float | None = None, name: str = ""
    ) -> Features:
        """Read and measure a print once, for as many matches and templates as are wanted.

        A print is whatever :func:`match` takes; ``ppi`` is its resolution, 500 if not given, and
        ``name`` the name of a print that is no file. Raises FileNotFoundError and ValueError as
        :func:`ifvit.data.given.grey_values` does, and ValueError where it shows no fingerprint.
        """
        return self.extractor.extract(given, ppi, name)

    @usual_float_errors()
    def embed(self, prints: Sequence[PrintSource | Features]) -> list[Template]:
        """Return the templates of prints, to be stored and searched.

        A template has a fixed length, and is made from a print in its own pose, without a partner.
        Raises as :meth:`extract` does.
        """
        return [self.coder.template(self.extract(one)) for one in prints]

    @usual_float_errors()
    def match(
        self, print0: PrintSource | Features, print1: PrintSource | Features, *, ppi: Ppi = None
    ) -> MatchResult:
        """Match two prints: whatever :meth:`extract` takes, or Features.

        ``ppi`` is the resolution of both, or of each. Swapped prints give the same scores and the
        transposed alignment. Two prints that cannot be aligned give a result that says so. Raises
        as :meth:`extract` does.
        """
        pair = in_order(*self.extractor.extract_both(print0, print1, ppi), self.extractor)
        in_parallel(lambda one: self._prepare(one, pair), pair.prints)
        return self._matched(pair)

    @usual_float_errors()
    def match_many(
        self,
        probe: PrintSource | Features,
        candidates: Sequence[PrintSource | Features],
        *,
        ppi: Ppi = None,
    ) -> list[MatchResult]:
        """Match one print with many, each pair as :meth:`match` does; results are in their order.

        The probe is read once, and drawn once for each scale that a candidate needs. ``ppi`` is the
        resolution of all prints, or a pair: the probe's, and that of all candidates. Raises as
        :meth:`extract` does.
        """
        ppi0, ppi1 = each_ppi(ppi)
        features = self.extract(probe, ppi0, "the probe")

        def one(place: int) -> MatchResult:
            # The frames and maps of a candidate are not needed after its match.
            candidate = self.extract(candidates[place], ppi1, f"candidate {place}")
            return self._matched(in_order(features, candidate, self.extractor))

        return in_parallel(one, range(len(candidates)))

    @usual_float_errors()
    def match_pairs(self, pairs: Sequence[tuple[Features, Features]]) -> list[MatchResult]:
        """Match pairs of prints, each as :meth:`match` does, on all cores."""
        return in_parallel(lambda pair: self._matched(in_order(*pair, self.extractor)), pairs)

    def _prepare(self, one: Features, pair: OrderedPair) -> None:
        """Draw one of a pair's prints and compute its maps, which its Features keep."""
        self.coder.template(one)
        self.extractor.at(one, pair.fit)

    def _matched(self, pair: OrderedPair) -> MatchResult:
        both = self.coder.template(pair.prints[0]), self.coder.template(pair.prints[1])
        hint = core_on_core(*both)
        found = result_of(pair, self.aligner.register_ordered(pair, hint), both, self.decision)
        if in_doubt(found.score):
            framed = self.aligner.register_otherwise(pair, hint)
            again = result_of(pair, framed, both, self.decision)
            found = max(found, again, key=lambda result: result.score)
        return pair.given(found)
