"""The answers of a gallery: candidates with their rates, a claim that is accepted or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ifvit.comparison.decision import Decision
from ifvit.comparison.result import MatchResult
from ifvit.gallery.enrolment import identity
from ifvit.gallery.open_set import OpenSet, Rate, fpir_of
from ifvit.gallery.search import Found


@dataclass(frozen=True)
class Candidate:
    """A finger of the gallery that a probe may show, with its most similar print."""

    id: str
    subject: str
    finger: str
    name: str
    index_score: float
    map_score: float
    result: MatchResult | None = None
    """The match of the probe with this print, where both could be compared in pair mode."""
    fmr: Rate | None = None
    """False match rate of accepting this score in one comparison."""
    fpir: Rate | None = None
    """False positive identification rate of accepting this score in this gallery."""

    @property
    def score(self) -> float | None:
        """Return pair mode's score, which decides; None where no pair was made."""
        return None if self.result is None else self.result.score

    @property
    def record(self) -> dict[str, Any]:
        """Return everything but pictures and matches, for JSON."""
        names = ("id", "subject", "finger", "name", "score", "map_score", "index_score")
        rates = {
            name: None if rate is None else {"value": rate.value, "extrapolated": rate.extrapolated}
            for name, rate in (("fmr", self.fmr), ("fpir", self.fpir))
        }
        return {name: getattr(self, name) for name in names} | rates


@dataclass(frozen=True)
class SearchResult:
    """The best candidates of a search, and which of them count as found."""

    candidates: list[Candidate]
    size: int
    """Number of prints in the gallery."""
    fpir: float
    """The false positive identification rate at which the search was decided."""
    threshold: Rate | None
    """The score from which a candidate counts as found; None where nothing can be decided."""

    @property
    def decided(self) -> bool:
        """Return whether the search could be decided: by calibrated weights and kept prints."""
        return self.threshold is not None and (
            not self.candidates or self.candidates[0].score is not None
        )

    @property
    def found(self) -> list[Candidate]:
        """Return the candidates that count as found; an empty list means nobody."""
        if self.threshold is None:
            return []
        limit = self.threshold.value
        return [one for one in self.candidates if one.score is not None and one.score >= limit]

    @property
    def record(self) -> dict[str, Any]:
        """Return who was found, for JSON."""
        return {
            "size": self.size,
            "fpir": self.fpir,
            "decided": self.decided,
            "found": [one.id for one in self.found],
            "candidates": [one.id for one in self.candidates],
        }


@dataclass(frozen=True)
class Verification:
    """A claim: the comparisons of a probe with the prints of one person, best first."""

    results: list[tuple[str, MatchResult]]
    """Each print's id, and its match with the probe."""
    fmr: Rate | None
    """False match rate of the claim, over all its comparisons together."""
    threshold: Rate | None
    accepted: bool | None
    """Whether the claim is accepted; None where it cannot be decided, since no print is kept or the
    weights are not calibrated."""


def answer(
    found: Sequence[Found],
    labelled: Sequence[dict],
    size: int,
    rates: OpenSet,
    top: int,
    fpir: float,
) -> SearchResult:
    """Return the candidates, each finger once, with their rates in a gallery of this size.

    ``labelled`` are the labels of the prints that were ``found``.
    """
    seen = set[tuple[str, str]]()
    made: list[Candidate] = []
    for one, labels in zip(found, labelled, strict=True):
        key = identity(labels["subject"], labels["finger"], labels["id"])
        if key in seen:
            continue
        seen.add(key)
        score = None if one.result is None else one.result.score
        fmr = None if score is None else rates.fmr(score)
        wide = None if fmr is None else Rate(fpir_of(fmr.value, size), fmr.extrapolated)
        made.append(
            Candidate(
                id=labels["id"],
                subject=labels["subject"],
                finger=labels["finger"],
                name=labels["name"],
                index_score=one.index_score,
                map_score=one.map_score,
                result=one.result,
                fmr=fmr,
                fpir=wide,
            )
        )
        if len(made) == top:
            break
    return SearchResult(made, size, fpir, rates.threshold(fpir, size))


def verified(
    ids: Sequence[str], results: Sequence[MatchResult], decision: Decision, fmr: float
) -> Verification:
    """Return the decision on a claim, by the comparisons with one person's prints, at ``fmr``."""
    rates, count = OpenSet(decision), len(results)
    listed = sorted(zip(ids, results, strict=True), key=lambda one: one[1].score, reverse=True)
    # As many comparisons as prints: a search in a gallery of one person.
    limit = rates.threshold(fmr, count)
    if not listed or limit is None:
        return Verification(listed, None, None, None)
    best = listed[0][1].score
    return Verification(listed, rates.fpir(best, count), limit, best >= limit.value)
