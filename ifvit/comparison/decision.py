"""The Decision: what turns the evidence of a pair into an answer, in one file beside the weights.

It holds the weights of the evidence, the rule by which two prints count as not aligned, and scores
of impostors, with what they hold for: both modules, and every setting that decides a score
(:mod:`ifvit.comparison.fingerprint`).

A false match rate is estimated from n impostor comparisons, k of which reach the score: (k + 1) /
(n + 1). So it is never zero, and no claim is made below 1 / (n + 1). Comparisons that share prints
are not independent: n of few fingers say less than n of many.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ifvit.comparison.score import FUSION, NOT_ALIGNED, Fusion, pair_score
from ifvit.files import check_exists, write_atomically
from ifvit.registration.align import ALIGNED_RULE, AlignedRule
from ifvit.registration.alignment import Alignment

logger = logging.getLogger("ifvit")

DECISION_FILE = "decision.json"
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

        Raises ValueError for no scores, or for NaN.
        """
        impostor = np.sort(np.asarray(scores, np.float64))
        if not len(impostor) or np.isnan(impostor).any():
            raise ValueError(
                f"{len(impostor)} impostor scores, {int(np.isnan(impostor).sum())} of them NaN: "
                "expected at least one, and numbers"
            )
        return replace(self, impostor=impostor, fingerprint=fingerprint, version=version("ifvit"))

    def decide(self, embedding_score: float, alignment: Alignment) -> tuple[float, float | None]:
        """Return the score of a pair, and its false match rate where that is known.

        The score is the evidence, weighed, where the prints are aligned. Raises ValueError for
        weights that are no shares.
        """
        score = NOT_ALIGNED
        if alignment.ok:
            score = pair_score(embedding_score, alignment.evidence, self.fusion)
        return score, self.fmr(score)

    def fmr(self, score: float) -> float | None:
        """Return the false match rate of accepting this score and all above, where it is known."""
        if self.impostor is None:
            return None
        reached = len(self.impostor) - int(np.searchsorted(self.impostor, score, side="left"))
        return (reached + 1) / (len(self.impostor) + 1)

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
        "ifvit": "decision of a pair, and impostor scores that calibrate it",
        "version": decision.version,
        "dense_sha256": decision.dense_sha256,
        "matcher_sha256": decision.matcher_sha256,
        "fingerprint": decision.fingerprint,
        **decision.record,
        "impostor": np.round(decision.impostor, 6).tolist(),
    }
    write_atomically(path, (json.dumps(values) + "\n").encode())


def load_decision(path: str | Path) -> Decision:
    """Read a decision; raises FileNotFoundError, and ValueError for a file that is not one."""
    check_exists(path, EXPECTED)
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        made = Decision(
            fusion=Fusion(**values["fusion"]),
            rule=AlignedRule(**values["rule"]),
            dense_sha256=values["dense_sha256"],
            matcher_sha256=values["matcher_sha256"],
        ).calibrated(values["impostor"], values["fingerprint"])
        return replace(made, version=values["version"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): expected {EXPECTED}") from error


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
