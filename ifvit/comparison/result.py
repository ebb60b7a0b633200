"""The result of a match, in one record that can be drawn, printed and kept."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from ifvit.comparison.decision import Decision
from ifvit.comparison.print_similarity import template_similarity
from ifvit.comparison.tail import Beyond
from ifvit.features.coder import Template
from ifvit.registration.alignment import Alignment
from ifvit.registration.pairing import OrderedPair


@dataclass(frozen=True, eq=False)
class MatchResult:
    """The result of a match, with the evidence that decided it.

    ``status`` is ``ok``, or ``not_aligned``, in which case ``reason`` says why and ``score`` is -1.
    Scores are in [-1, 1]: the similarity of the prints' dense maps and of their index vectors, each
    print in its own pose, the aligned ridges' correlation, and the shares of the overlap whose
    blocks and whose matches agree; ``score`` fuses all but that of the index vectors, and is the
    one to decide by.
    ``alignment`` is in pixels of ``image0`` and ``image1``, the whole prints at 500 ppi, and so
    are the cores of the ``templates``.
    """

    status: str
    reason: str
    score: float
    map_score: float
    index_score: float
    ridge_ncc: float | None
    num_matches: int
    num_inliers: int
    alignment: Alignment
    image0: Float[np.ndarray, "H0 W0"]
    image1: Float[np.ndarray, "H1 W1"]
    templates: tuple[Template, Template]
    """Module 2's template of each print: its pose, its dense map, its index vector."""
    name0: str = ""
    name1: str = ""
    block_share: float | None = None
    """Share of the overlap's blocks whose ridges agree."""
    coverage: float | None = None
    """Confidence per cell of the overlap of the matches that lie where the alignment puts them."""
    overlap_mm2: float | None = None
    """Area that shows ridges in both prints, square millimetres."""
    left_out: float = 0.0
    """Share of the ridges that lie outside the largest canvas, for the print with the larger
    share."""
    fmr: float | None = None
    """False match rate of accepting this score, as counted in impostor comparisons; None where the
    weights are not calibrated."""
    fmr_beyond: Beyond | None = None
    """False match rate where it lies below those that were counted: an extrapolation, with its
    interval."""

    @property
    def ok(self) -> bool:
        """Return whether the prints could be aligned and compared."""
        return self.status == "ok"

    def transposed(self) -> MatchResult:
        """Return the result for the same prints, given the other way round."""
        return replace(
            self,
            alignment=self.alignment.transposed(),
            image0=self.image1,
            image1=self.image0,
            templates=self.templates[::-1],
            name0=self.name1,
            name1=self.name0,
        )

    def summary(self) -> str:
        """Return the result in one line."""
        counts = f"{self.num_inliers} of {self.num_matches} matching cells agree"
        ridges = "" if self.ridge_ncc is None else f", ridges {self.ridge_ncc:.3f}"
        for name, share in (("blocks", self.block_share), ("matches", self.coverage)):
            ridges += "" if share is None else f", {name} {share:.3f}"
        if not self.ok:
            return f"not aligned: {self.reason}"
        beyond = (
            f"; {100 * self.left_out:.0f} % of a print not looked at" if self.left_out > 0.1 else ""
        )
        return (
            f"score {self.score:.3f} (maps {self.map_score:.3f}{ridges}){self.rate_text()}; "
            f"{counts}, turned by {self.alignment.angle:.1f}°{beyond}"
        )

    def rate_text(self) -> str:
        """Return the false match rate in words, and say where it is an extrapolation."""
        if self.fmr is None:
            return ", FMR unknown, as these weights are not calibrated"
        counted = f", FMR ≤ {100 * self.fmr:.2g} %"
        if self.fmr_beyond is None:
            return counted
        value, _, high = (100 * rate for rate in self.fmr_beyond)
        return f"{counted} counted, extrapolated {value:.1g} % (up to {high:.1g} %)"

    def record(self) -> dict[str, Any]:
        """Return all but the images as plain values; positions in the prints, px at 500 ppi."""
        values: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                *("name0", "name1", "status", "reason", "score", "map_score", "index_score"),
                *("ridge_ncc", "block_share", "coverage"),
                *("num_matches", "num_inliers", "overlap_mm2"),
                *("left_out", "fmr"),
            )
        }
        for number, template in enumerate(self.templates):
            values |= {f"{name}{number}": value for name, value in template.record().items()}
        values["fmr_extrapolated"] = self.fmr_beyond and self.fmr_beyond._asdict()
        values["alignment"] = self.alignment.record()
        return values

    def to_json(self) -> str:
        """Return :meth:`record` as JSON."""
        return json.dumps(self.record(), allow_nan=False)


def result_of(
    pair: OrderedPair,
    framed: Alignment,
    templates: tuple[Template, Template],
    decision: Decision,
) -> MatchResult:
    """Return the result of a pair; Module 2's maps count towards the score where the prints align.

    ``framed`` is the alignment of the pair's frames, ``templates`` are those of its prints.
    """
    (print0, print1), (frame0, frame1) = pair.prints, pair.frames
    alignment, ok = framed.on_prints(frame0, frame1), framed.ok
    map_score, index_score = template_similarity(*templates)
    score, fmr = decision.decide(map_score, alignment)
    frame = np.array([[0, 0], [pair.fit.side, pair.fit.side]]) - 0.5
    seen0, seen1 = frame0.on_print(frame), frame1.on_print(frame)
    return MatchResult(
        status="ok" if ok else "not_aligned",
        reason=alignment.reason,
        score=score,
        map_score=map_score,
        index_score=index_score,
        ridge_ncc=alignment.ridge_ncc,
        block_share=alignment.block_share,
        coverage=alignment.coverage,
        num_matches=len(alignment.points0),
        num_inliers=alignment.num_inliers,
        alignment=alignment,
        image0=print0.image,
        image1=print1.image,
        templates=templates,
        name0=print0.name,
        name1=print1.name,
        overlap_mm2=alignment.overlap_mm2,
        left_out=max(print0.left_out(seen0), print1.left_out(seen1)),
        fmr=fmr,
        fmr_beyond=decision.beyond(score),
    )
