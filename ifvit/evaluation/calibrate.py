"""Impostor scores of an evaluation, kept beside the weights that gave them."""

from __future__ import annotations

import json
from pathlib import Path

from ifvit.evaluation.evaluate import RUN_FILE
from ifvit.evaluation.scores import read_scores
from ifvit.pipeline.calibration import Calibration, save_calibration


def calibrate(scores_csv: str | Path, out: str | Path, matcher_sha256: str) -> Calibration:
    """Calibrate by the impostor comparisons of a table that :func:`evaluate` wrote in pair mode.

    Those that could not be aligned count with the lowest score. Writes ``out``. Raises
    FileNotFoundError and ValueError where the table is not one of those, or not of the weights
    with this sha256.
    """
    rows, record = read_scores(scores_csv), Path(scores_csv).with_name(RUN_FILE)
    if not record.is_file():
        raise FileNotFoundError(
            f"no {RUN_FILE} beside {scores_csv}: expected the table that `ifvit evaluate` writes"
        )
    run = json.loads(record.read_text())
    if run["mode"] != "pair":
        raise ValueError(
            f"{scores_csv} is of stand-alone templates: calibration is of `ifvit match`, whose "
            "scores `ifvit evaluate --mode pair` gives"
        )
    if run["enhancer"] != "gabor" or run["canvas"] is not None:
        raise ValueError(
            f"{scores_csv} was made with --enhancer {run['enhancer']} --canvas {run['canvas']}: "
            "calibration is of `ifvit match` as it is by default; evaluate without them"
        )
    if run["matcher_ckpt_sha256"] != matcher_sha256:
        raise ValueError(
            f"{scores_csv} is of other weights ({run['matcher_ckpt_sha256'][:12]}, not "
            f"{matcher_sha256[:12]}): evaluate with these, or name the checkpoint that it is of"
        )
    scores = [row.fused for row in rows if not row.label]
    made = Calibration.of(scores, run["dense_ckpt_sha256"], run["matcher_ckpt_sha256"])
    save_calibration(out, made)
    return made
