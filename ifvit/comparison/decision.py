"""The Decision: what turns the evidence of a pair into an answer, in one file beside the weights.

It holds the weights of the evidence, the rule by which two prints count as not aligned, and scores
of impostors, with what they hold for: both modules, and every setting that decides a score
(:mod:`ifvit.comparison.fingerprint`).

A false match rate is estimated from n impostor comparisons, k of which reach the score: (k + 1) /
(n + 1). So it is never zero, and no claim is made below 1 / (n + 1); what the tail of the scores,
continued, says of rates below that is told apart (:mod:`ifvit.comparison.tail`). Comparisons that
share prints are not independent: n of few fingers say less than n of many.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ifvit.comparison.score import FUSION, NOT_ALIGNED, Fusion, pair_score
from ifvit.comparison.tail import Beyond, Tail
from ifvit.files import check_exists, write_result
from ifvit.registration.align import ALIGNED_RULE, AlignedRule
from ifvit.registration.alignment import Alignment
from ifvit.texts import parse_json, read_text

logger = logging.getLogger("ifvit")

DECISION_FILE = "decision.json"
HIGHEST = 1 + 1e-4
"""Most that a score can be: cosines of float32 come to lie a little beyond 1."""

MADE_BY = "decision of a pair, and impostor scores that calibrate it"
"""What its file begins with: one that begins with something else is not written over."""

EXPECTED = "a calibration, the .json that `ifvit calibrate` writes"


@dataclass(frozen=True)
class Decision:
    """How evidence becomes a score, and what a score is worth."""

    fusion: Fusion = FUSION
    rule: AlignedRule = ALIGNED_RULE
    impostor: Float[np.ndarray, " I"] | None = None
    """Scores of impostor comparisons in pair mode, lowest first; None where nothing is known."""
    dense_sha256: str = ""
    matcher_sha256: str = ""
    fingerprint: str = ""
    """Of the settings that gave the impostor scores."""
    version: str = ""
    """Of the ifvit that gave them."""

    @property
    def weights(self) -> tuple[str, str]:
        """Return the sha256 of the modules that it is of, Module 1's first."""
        return self.dense_sha256, self.matcher_sha256

    @property
    def record(self) -> dict[str, Any]:
        """Return the weights of the evidence and the rule, as plain values for JSON."""
        return {"fusion": self.fusion._asdict(), "rule": self.rule._asdict()}

    def calibrated(self, scores: Sequence[float], fingerprint: str) -> Decision:
        """Return the same with impostor scores, in any order, of settings of this fingerprint.

        Raises ValueError for no scores, or for what is none: it has to lie in [-1, 1].
        """
        impostor = np.sort(np.asarray(scores, np.float64))
        wrong = int((~(np.abs(impostor) <= HIGHEST)).sum())
        if impostor.ndim != 1 or not len(impostor) or wrong:
            raise ValueError(
                f"{len(impostor)} impostor scores, {wrong} of them not in [-1, 1]: expected at "
                "least one, and scores"
            )
        return replace(self, impostor=impostor, fingerprint=fingerprint, version=version("ifvit"))

    def decide(self, map_score: float, alignment: Alignment) -> tuple[float, float | None]:
        """Return the score of a pair, and its false match rate where that is known.

        The score is the evidence, weighed, where the prints are aligned. Raises ValueError for
        weights that are no shares.
        """
        score = NOT_ALIGNED
        if alignment.ok:
            score = pair_score(map_score, alignment.evidence, self.fusion)
        return score, self.fmr(score)

    def fmr(self, score: float) -> float | None:
        """Return the false match rate of accepting this score and all above, where it is known.

        Raises ValueError for NaN, which is no score and would come out above all.
        """
        if np.isnan(score):
            raise ValueError("a score that is no number has no FMR: the weights are damaged")
        if self.impostor is None:
            return None
        reached = len(self.impostor) - int(np.searchsorted(self.impostor, score, side="left"))
        return (reached + 1) / (len(self.impostor) + 1)

    @cached_property
    def tail(self) -> Tail:
        """Return the highest impostor scores, continued."""
        return Tail(np.zeros(0) if self.impostor is None else self.impostor)

    def beyond(self, score: float) -> Beyond | None:
        """Return the false match rate by the continued tail, where it is below what was counted."""
        return self.tail.fmr(score)

    def threshold(self, fmr: float) -> float:
        """Return the lowest score that is accepted at this false match rate.

        Raises ValueError for a rate that so few comparisons say nothing of, or above 1.
        """
        impostor = np.zeros(0) if self.impostor is None else self.impostor
        count = len(impostor)
        if not count or not 1 / (count + 1) <= fmr <= 1:
            raise ValueError(
                f"no threshold for an FMR of {fmr:g}: {count} impostor comparisons calibrate rates "
                f"from {1 / (count + 1):.2g} to 1; calibrate with more, or choose another rate"
            )
        # 1e-9: 0.3 of ten is three, though floats say a little less.
        allowed = int(fmr * (count + 1) + 1e-9) - 1
        if allowed >= count:
            return float(impostor[0])
        return float(np.nextafter(impostor[count - 1 - allowed], np.inf))


DECISION = Decision()


def save_decision(path: str | Path, decision: Decision) -> None:
    """Write a calibrated decision, whole or not at all; raises ValueError without scores."""
    if decision.impostor is None:
        raise ValueError(f"{path}: expected a decision with impostor scores, there are none")
    values = {
        "ifvit": MADE_BY,
        "version": decision.version,
        "dense_sha256": decision.dense_sha256,
        "matcher_sha256": decision.matcher_sha256,
        "fingerprint": decision.fingerprint,
        **decision.record,
        # To the last digit: a rounded score can fall on the other side of a threshold.
        "impostor": decision.impostor.tolist(),
    }
    write_result(path, (json.dumps(values) + "\n").encode(), MADE_BY.encode())


def load_decision(path: str | Path) -> Decision:
    """Read a decision; raises FileNotFoundError, and ValueError for a file that is not one."""
    check_exists(path, EXPECTED)
    try:
        values = parse_json(read_text(path, EXPECTED))
        _check_kinds(values)
        made = Decision(
            fusion=Fusion(**values["fusion"]),
            rule=AlignedRule(**values["rule"]),
            dense_sha256=values["dense_sha256"],
            matcher_sha256=values["matcher_sha256"],
        ).calibrated(values["impostor"], values["fingerprint"])
        return replace(made, version=values["version"])
    except (OSError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): expected {EXPECTED}") from error


def _check_kinds(values: dict[str, Any]) -> None:
    """Raise ValueError for values of another kind than were written."""
    texts = ("version", "dense_sha256", "matcher_sha256", "fingerprint")
    if not all(isinstance(values[name], str) for name in texts):
        raise ValueError("what its scores are of is no text")
    numbers = [*values["fusion"].values(), *values["rule"].values(), *values["impostor"]]
    if not all(type(one) in (int, float) for one in numbers):
        raise ValueError("its weights, its rule or its impostor scores are not numbers")
    weights = list(values["fusion"].values())
    if not (all(0 <= one <= 1 for one in weights) and sum(weights) <= 1):
        raise ValueError("its weights are no shares")


def decision_of(
    matcher_ckpt: str | Path, given: str | Path | None, weights: tuple[str, str]
) -> Decision:
    """Return the decision of these weights (:attr:`Decision.weights`).

    It is the file ``given``, or what is beside Module 2, or the usual one where nothing is beside
    it, or only another's. Raises as :func:`load_decision`, and ValueError where the file that was
    given is of other weights.
    """
    path = Path(given) if given is not None else Path(matcher_ckpt).with_name(DECISION_FILE)
    usual = Decision(dense_sha256=weights[0], matcher_sha256=weights[1])
    if given is None and not path.exists():
        return usual
    found = load_decision(path)
    if found.weights == weights:
        return found
    _refuse(path, given, "weights", (found.matcher_sha256, weights[1]))
    return usual


def holding(
    decision: Decision, matcher_ckpt: str | Path, given: str | Path | None, fingerprint: str
) -> Decision:
    """Return a decision as it holds for settings of this fingerprint.

    Without its impostor scores where they are of others; raises ValueError where its file was
    given.
    """
    if decision.impostor is None or decision.fingerprint == fingerprint:
        return decision
    path = Path(given) if given is not None else Path(matcher_ckpt).with_name(DECISION_FILE)
    what = "settings of registration and score"
    _refuse(path, given, what, (decision.fingerprint, fingerprint))
    return replace(decision, impostor=None)


def _refuse(path: Path, given: str | Path | None, what: str, both: tuple[str, str]) -> None:
    """Raise ValueError where a file that was given does not hold; warn of one that lies there."""
    if given is not None:
        raise ValueError(
            f"{path} is of other {what} ({both[0][:12]}, not {both[1][:12]}): run `ifvit evaluate` "
            "with these, then `ifvit calibrate`"
        )
    logger.warning("%s is of other %s, and is not used: run `ifvit calibrate` again", path, what)
