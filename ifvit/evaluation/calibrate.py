"""Impostor scores of an evaluation, kept beside the weights that gave them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ifvit.comparison.decision import Decision, save_decision
from ifvit.comparison.score import Fusion
from ifvit.evaluation.evaluate import RUN_FILE
from ifvit.evaluation.scores import read_scores
from ifvit.registration.align import AlignedRule


def calibrate(tables: Sequence[str | Path], out: str | Path, matcher_sha256: str) -> Decision:
    """Calibrate by the impostor comparisons of tables that :func:`evaluate` wrote in pair mode.

    Those that could not be aligned count with the lowest score. Writes ``out``. Raises
    FileNotFoundError and ValueError where there is no table, or one is not of those or not of the
    weights with this sha256.
    """
    if not tables:
        raise ValueError("no scores given: expected a table that `ifvit evaluate` wrote")
    runs = [_run_of(table, matcher_sha256) for table in tables]
    dense, fingerprint = (
        _one_of(runs, tables, key, what)
        for key, what in (
            ("dense_ckpt_sha256", "Modules 1"),
            ("fingerprint", "settings of registration and score"),
        )
    )
    scores = [row.fused for table in tables for row in read_scores(table) if not row.label]
    made = Decision(
        fusion=Fusion(**runs[0]["fusion"]),
        rule=AlignedRule(**runs[0]["rule"]),
        dense_sha256=dense,
        matcher_sha256=matcher_sha256,
    ).calibrated(scores, fingerprint)
    save_decision(out, made)
    return made


def _one_of(
    runs: Sequence[dict[str, Any]], tables: Sequence[str | Path], key: str, what: str
) -> str:
    """Return what all runs have for a key; raises ValueError where they differ."""
    found = {str(run.get(key)) for run in runs}
    if len(found) > 1:
        raise ValueError(
            f"{', '.join(map(str, tables))} are of {len(found)} different {what}: evaluate all "
            "with one"
        )
    return found.pop()


def _run_of(scores_csv: str | Path, matcher_sha256: str) -> dict[str, Any]:
    """Return the record of a table's run, where it is one to calibrate these weights by."""
    record = Path(scores_csv).with_name(RUN_FILE)
    if not record.is_file():
        raise FileNotFoundError(
            f"no {RUN_FILE} beside {scores_csv}: expected the table that `ifvit evaluate` writes"
        )
    run: dict[str, Any] = json.loads(record.read_text())
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
    if "fingerprint" not in run:
        raise ValueError(
            f"{scores_csv} is of an earlier version of ifvit, which did not record all that "
            "decides a score: evaluate again"
        )
    return run
