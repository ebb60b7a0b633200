"""``ifvit calibrate``: the impostor scores that a false match rate is read from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tyro.conf import Positional

from ifvit.comparison.decision import DECISION_FILE
from ifvit.evaluation.calibrate import calibrate
from ifvit.files import check_output, sha256_of
from ifvit.weights.pretrained import pretrained_files


@dataclass(frozen=True)
class Settings:
    """Keep impostor scores, so that a match can say its false match rate."""

    scores: Positional[tuple[str, ...]]
    """Tables that ``ifvit evaluate`` wrote in pair mode, of one or more data sets."""
    matcher_ckpt: str | None = None
    """Module 2's checkpoint, which must have given the scores; if not given, that which ships with
    ifvit."""
    out: str | None = None
    """File to write, for ``match --calibration``; beside ``matcher_ckpt`` if not given."""


def run(settings: Settings) -> None:
    """Write the calibration: to a file of its own, or beside the Module 2 that is named."""
    if settings.out is not None:
        out = Path(settings.out)
    elif settings.matcher_ckpt is not None:
        out = Path(settings.matcher_ckpt).with_name(DECISION_FILE)
    else:
        raise ValueError(
            "--out is not given: expected a file to write, such as decision.json, which "
            "`ifvit match --calibration` uses; or --matcher-ckpt, to write beside weights of yours"
        )
    check_output(out)
    known = sha256_of(settings.matcher_ckpt or pretrained_files().matcher)
    made = calibrate(settings.scores, out, known)
    count = 0 if made.impostor is None else len(made.impostor)
    print(f"{count} impostor comparisons: FMRs from {made.fmr(np.inf):.2g}, in {out}")
