"""From a score to how often two different fingers reach it: the FMR, kept beside the weights.

An estimate from n impostor comparisons, k of which reach the score: (k + 1) / (n + 1). So it is
never zero, and no claim is made below 1 / (n + 1). Comparisons that share prints are not
independent: n of few fingers say less than n of many.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ifvit.files import check_exists, write_result
from ifvit.texts import parse_json, read_text

logger = logging.getLogger("ifvit")

CALIBRATION_FILE = "calibration.json"
MADE_BY = "calibration of the fused score in pair mode"
HIGHEST = 1 + 1e-4
"""A score is a share of cosines, which float32 may carry a little beyond 1."""

EXPECTED = "a calibration, the .json that `ifvit calibrate` writes"


@dataclass(frozen=True)
class Calibration:
    """Scores of impostor comparisons in pair mode, and the weights and settings that gave them."""

    impostor: Float[np.ndarray, " I"]
    """Sorted, lowest first."""
    dense_sha256: str
    matcher_sha256: str
    settings_sha256: str
    """Of all settings that decide a score (:attr:`ifvit.matcher.Matcher.settings`)."""

    @property
    def origin(self) -> tuple[str, str, str]:
        """Return what has to be the same for the scores to be: Module 1, Module 2, settings."""
        return self.dense_sha256, self.matcher_sha256, self.settings_sha256

    @classmethod
    def of(
        cls,
        scores: Sequence[float],
        dense_sha256: str,
        matcher_sha256: str,
        settings_sha256: str,
    ) -> Calibration:
        """Take impostor scores in any order; raises ValueError for none, or for other numbers."""
        impostor = np.sort(np.asarray(scores, np.float64))
        wrong = int((~(np.abs(impostor) <= HIGHEST)).sum())
        if not len(impostor) or wrong:
            raise ValueError(
                f"{len(impostor)} impostor scores, {wrong} of them not in [-1, 1]: expected at "
                "least one, and scores"
            )
        return cls(impostor, dense_sha256, matcher_sha256, settings_sha256)

    def fmr(self, score: float) -> float:
        """Return the false match rate of accepting this score and all above.

        Raises ValueError for NaN, which is no score and would come out above all.
        """
        if np.isnan(score):
            raise ValueError("a score that is no number has no FMR: the weights are damaged")
        reached = len(self.impostor) - int(np.searchsorted(self.impostor, score, side="left"))
        return (reached + 1) / (len(self.impostor) + 1)

    def threshold(self, fmr: float) -> float:
        """Return the lowest score that is accepted at this false match rate.

        Raises ValueError for a rate that so few comparisons say nothing of, or above 1.
        """
        count = len(self.impostor)
        if not 1 / (count + 1) <= fmr <= 1:
            raise ValueError(
                f"no threshold for an FMR of {fmr:g}: {count} impostor comparisons calibrate rates "
                f"from {1 / (count + 1):.2g} to 1; calibrate with more, or choose another rate"
            )
        # 1e-9: 0.3 of ten is three, though floats say a little less.
        allowed = int(fmr * (count + 1) + 1e-9) - 1
        if allowed >= count:
            return float(self.impostor[0])
        return float(np.nextafter(self.impostor[count - 1 - allowed], np.inf))


def save_calibration(path: str | Path, calibration: Calibration) -> None:
    """Write a calibration, whole or not at all."""
    values = {
        "ifvit": MADE_BY,
        "dense_sha256": calibration.dense_sha256,
        "matcher_sha256": calibration.matcher_sha256,
        "settings_sha256": calibration.settings_sha256,
        # To the last digit: a rounded score can fall on the other side of a threshold.
        "impostor": calibration.impostor.tolist(),
    }
    write_result(path, (json.dumps(values) + "\n").encode(), MADE_BY.encode())


def load_calibration(path: str | Path) -> Calibration:
    """Read a calibration; raises FileNotFoundError, and ValueError for a file that is not one."""
    check_exists(path, EXPECTED)
    try:
        values = parse_json(read_text(path, EXPECTED))
        # Earlier versions recorded no settings: such a file holds for none.
        values = {"settings_sha256": "", **values}
        origin = [values[name] for name in ("dense_sha256", "matcher_sha256", "settings_sha256")]
        impostor = values["impostor"]
        if not all(isinstance(one, str) for one in origin):
            raise ValueError("what its scores are of is no text")
        if not (isinstance(impostor, list) and all(type(s) in (int, float) for s in impostor)):
            raise ValueError("its impostor scores are not a list of numbers")
        return Calibration.of(impostor, *origin)
    except (OSError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}): expected {EXPECTED}") from error


def calibration_of(
    matcher_ckpt: str | Path, given: str | Path | None, origin: tuple[str, str, str]
) -> Calibration | None:
    """Return the calibration of these weights and settings (:attr:`Calibration.origin`).

    It is the file ``given``, or what is beside Module 2; None where nothing is beside it, or only
    another's. Raises as :func:`load_calibration`, and ValueError where the file that was given is
    of other weights or settings.
    """
    path = Path(given) if given is not None else Path(matcher_ckpt).with_name(CALIBRATION_FILE)
    if given is None and not path.exists():
        return None
    found = load_calibration(path)
    if found.origin == origin:
        return found
    what = "weights" if found.origin[:2] != origin[:2] else "settings of registration and score"
    if given is not None:
        raise ValueError(
            f"{path} is of other {what} (Module 2 {found.matcher_sha256[:12]}, settings "
            f"{found.settings_sha256[:12]}; not {origin[1][:12]} and {origin[2][:12]}): run "
            "`ifvit evaluate` with these, then `ifvit calibrate`"
        )
    logger.warning("%s is of other %s, and is not used: run `ifvit calibrate` again", path, what)
    return None
