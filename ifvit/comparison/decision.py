"""The Decision: what turns the evidence of a pair into an answer, in one file beside the weights.

It holds the weights of the evidence, the rule by which two prints count as not aligned, and scores
of impostor comparisons. It records what these belong to: both modules, and every setting that
decides a score (:mod:`ifvit.comparison.fingerprint`).

A false match rate is estimated from n impostor comparisons, k of which reach the score: (k + 1) /
(n + 1). So it is never zero, and no claim is made below 1 / (n + 1); rates below that are
extrapolated from the tail of the scores and reported apart (:mod:`ifvit.comparison.tail`).
Comparisons that share prints are not independent: n comparisons of few fingers say less than n of
many.
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
"""The highest possible score: by rounding, cosines in float32 can be a little above 1."""

MADE_BY = "decision of a pair, and impostor scores that calibrate it"
"""The text that its file begins with: a file that begins otherwise is not overwritten."""

EXPECTED = "a calibration, the .json that `ifvit calibrate` writes"


@dataclass(frozen=True, eq=False)
class Decision:
    """How evidence becomes a score, and what a score is worth."""

    fusion: Fusion = FUSION
    rule: AlignedRule = ALIGNED_RULE
    impostor: Float[np.ndarray, " I"] | None = None
    """Scores of impostor comparisons in pair mode, lowest first; None where nothing is known."""
    dense_sha256: str = ""
    matcher_sha256: str = ""
    fingerprint: str = ""
    """The fingerprint of the settings that gave the impostor scores."""
    version: str = ""
    """The version of ifvit that computed the impostor scores."""

    @property
    def weights(self) -> tuple[str, str]:
        """Return the sha256 of the modules that the decision belongs to, Module 1's first."""
        return self.dense_sha256, self.matcher_sha256

    @property
    def record(self) -> dict[str, Any]:
        """Return the weights of the evidence and the rule, as plain values for JSON."""
        return {"fusion": self.fusion._asdict(), "rule": self.rule._asdict()}

    def calibrated(self, scores: Sequence[float], fingerprint: str) -> Decision:
        """Return this decision with impostor scores, in any order, that were computed with the
        settings of ``fingerprint``.

        Raises ValueError where there are no scores, or some that do not lie in [-1, 1].
        """
        impostor = np.sort(np.asarray(scores, np.float64))
        wrong = int((~(np.abs(impostor) <= HIGHEST)).sum())
        if impostor.ndim != 1 or not len(impostor) or wrong:
            raise ValueError(
                f"{len(impostor)} impostor scores, {wrong} of them not in [-1, 1]: expected at "
                "least one, and all within that range"
            )
        return replace(self, impostor=impostor, fingerprint=fingerprint, version=version("ifvit"))

    def decide(self, map_score: float, alignment: Alignment) -> tuple[float, float | None]:
        """Return the score of a pair, and its false match rate where that is known.

        The score is the weighted evidence, where the prints are aligned. Raises ValueError for
        weights outside [0, 1].
        """
        score = NOT_ALIGNED
        if alignment.ok:
            score = pair_score(map_score, alignment.evidence, self.fusion)
        return score, self.fmr(score)

    def fmr(self, score: float) -> float | None:
        """Return the false match rate of accepting this score and all above, where it is known.

        Raises ValueError for NaN, which would otherwise count as the highest score.
        """
        if np.isnan(score):
            raise ValueError("a score of NaN has no FMR: the weights are damaged")
        if self.impostor is None:
            return None
        reached = len(self.impostor) - int(np.searchsorted(self.impostor, score, side="left"))
        return (reached + 1) / (len(self.impostor) + 1)

    @cached_property
    def tail(self) -> Tail:
        """Return the tail of the impostor scores, by which rates are extrapolated."""
        return Tail(np.zeros(0) if self.impostor is None else self.impostor)

    def beyond(self, score: float) -> Beyond | None:
        """Return the false match rate extrapolated from the tail, where it is below those that
        impostor comparisons count."""
        return self.tail.fmr(score)

    def threshold(self, fmr: float) -> float:
        """Return the lowest score that is accepted at this false match rate.

        Raises ValueError for a rate above 1, or for one below those that so few comparisons count.
        """
        impostor = np.zeros(0) if self.impostor is None else self.impostor
        count = len(impostor)
        if not count or not 1 / (count + 1) <= fmr <= 1:
            raise ValueError(
                f"no threshold for an FMR of {fmr:g}: {count} impostor comparisons calibrate rates "
                f"from {1 / (count + 1):.2g} to 1; calibrate with more, or choose another rate"
            )
        # 1e-9: 0.3 of ten is three, though floats give a little less.
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
    """Raise ValueError for values of other types or ranges than :func:`save_decision` writes."""
    texts = ("version", "dense_sha256", "matcher_sha256", "fingerprint")
    if not all(isinstance(values[name], str) for name in texts):
        raise ValueError("its version, its fingerprint or a sha256 is not text")
    numbers = [*values["fusion"].values(), *values["rule"].values(), *values["impostor"]]
    if not all(type(one) in (int, float) for one in numbers):
        raise ValueError("its weights, its rule or its impostor scores are not numbers")
    weights = list(values["fusion"].values())
    if not (all(0 <= one <= 1 for one in weights) and sum(weights) <= 1):
        raise ValueError("its weights are not in [0, 1], or add up to more than 1")


def decision_of(
    matcher_ckpt: str | Path, given: str | Path | None, weights: tuple[str, str]
) -> Decision:
    """Return the decision of these weights (:attr:`Decision.weights`).

    It is read from the file ``given``, or else from the file beside Module 2; where there is none,
    or where that file belongs to other weights, it is the default. Raises as
    :func:`load_decision`, and ValueError where ``given`` belongs to other weights.
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

    It is returned without its impostor scores where other settings gave these; raises ValueError
    where the file of such a decision was ``given``.
    """
    if decision.impostor is None or decision.fingerprint == fingerprint:
        return decision
    path = Path(given) if given is not None else Path(matcher_ckpt).with_name(DECISION_FILE)
    what = "settings of registration and score"
    _refuse(path, given, what, (decision.fingerprint, fingerprint))
    return replace(decision, impostor=None)


def _refuse(path: Path, given: str | Path | None, what: str, both: tuple[str, str]) -> None:
    """Raise ValueError where the user gave the file; warn where it only lies beside the weights."""
    if given is not None:
        raise ValueError(
            f"{path} belongs to other {what} ({both[0][:12]}, not {both[1][:12]}): run `ifvit "
            "evaluate` with these, then `ifvit calibrate`"
        )
    logger.warning(
        "%s belongs to other %s, and is not used: run `ifvit calibrate` again", path, what
    )
