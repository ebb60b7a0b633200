"""Impostor scores of an evaluation, kept beside the weights that gave them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ifvit.comparison.decision import Decision, save_decision
from ifvit.comparison.score import Fusion
from ifvit.evaluation.resume import EXPECTED, RUN_FILE, compared_sha256
from ifvit.evaluation.scores import ScoreRow, read_scores
from ifvit.files import guarded
from ifvit.registration.align import AlignedRule
from ifvit.texts import read_json

NEEDED = (
    *("root", "version", "mode", "enhancer", "canvas", "comparisons", "comparisons_sha256"),
    *("fingerprint", "fusion", "rule", "dense_ckpt_sha256", "matcher_ckpt_sha256"),
)
"""Keys that a run's record must have for a calibration by its table."""


def calibrate(tables: Sequence[str | Path], out: str | Path, matcher_sha256: str) -> Decision:
    """Calibrate by the impostor comparisons of tables that :func:`evaluate` wrote in pair mode.

    Comparisons that could not be aligned count with the lowest score. Writes ``out``. Raises
    FileNotFoundError and ValueError where there is no table, or where one is of another kind, is
    not complete, belongs to other weights than those of this sha256, or shares a comparison with
    another.
    """
    if not tables:
        raise ValueError("no scores given: expected a table that `ifvit evaluate` wrote")
    runs = [_run_of(table, matcher_sha256) for table in tables]
    dense, fingerprint, _ = (
        _one_of(runs, tables, key, what)
        for key, what in (
            ("dense_ckpt_sha256", "Modules 1"),
            ("fingerprint", "settings of registration and score"),
            ("version", "versions of ifvit"),
        )
    )
    read = [_whole(table, run) for table, run in zip(tables, runs, strict=True)]
    _check_apart(tables, runs, read)
    scores = [row.score for rows in read for row in rows if not row.label]
    made = Decision(
        fusion=Fusion(**runs[0]["fusion"]),
        rule=AlignedRule(**runs[0]["rule"]),
        dense_sha256=dense,
        matcher_sha256=matcher_sha256,
    ).calibrated(scores, fingerprint)
    with guarded([*tables, *(Path(table).with_name(RUN_FILE) for table in tables)]):
        save_decision(out, made)
    return made


def _whole(table: str | Path, run: dict[str, Any]) -> list[ScoreRow]:
    """Return a table's rows, which must be all comparisons of its run, each once."""
    rows = read_scores(table)
    if len(rows) < run["comparisons"]:
        raise ValueError(
            f"{table} has {len(rows)} of {run['comparisons']} comparisons: run the same "
            "`ifvit evaluate` again, which goes on from there"
        )
    found = compared_sha256([(row.name0, row.name1, row.label) for row in rows])
    if found != run["comparisons_sha256"]:
        raise ValueError(
            f"{table} has other rows than its {RUN_FILE} records: evaluate again, to another --out"
        )
    return rows


def _check_apart(
    tables: Sequence[str | Path], runs: Sequence[dict[str, Any]], read: Sequence[list[ScoreRow]]
) -> None:
    """Raise ValueError where a comparison is in two tables: it would count as two."""
    seen: dict[tuple[str, frozenset[str]], int] = {}
    for number, (run, rows) in enumerate(zip(runs, read, strict=True)):
        for row in rows:
            first = seen.setdefault((run["root"], frozenset((row.name0, row.name1))), number)
            if first != number:
                raise ValueError(
                    f"{row.name0} with {row.name1} is in {tables[first]} and in {tables[number]}: "
                    "give tables that have no comparison in common"
                )


def _one_of(
    runs: Sequence[dict[str, Any]], tables: Sequence[str | Path], key: str, what: str
) -> str:
    """Return the value that all runs have for a key; raises ValueError where they differ."""
    found = {str(run.get(key)) for run in runs}
    if len(found) > 1:
        raise ValueError(
            f"{', '.join(map(str, tables))} are of {len(found)} different {what}: evaluate all "
            "with one"
        )
    return found.pop()


def _run_of(scores_csv: str | Path, matcher_sha256: str) -> dict[str, Any]:
    """Return the record of a table's run; raises ValueError where it cannot calibrate these
    weights."""
    record = Path(scores_csv).with_name(RUN_FILE)
    if not record.is_file():
        raise FileNotFoundError(
            f"no {RUN_FILE} beside {scores_csv}: expected the table that `ifvit evaluate` writes"
        )
    run = read_json(record, EXPECTED)
    missing = sorted(set(NEEDED) - set(run))
    if missing or not isinstance(run["comparisons"], int):
        raise ValueError(
            f"{record} does not say {', '.join(missing) or 'how many comparisons there are'}: it "
            "is of an earlier version, or damaged; evaluate again, to another --out"
        )
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
            f"{scores_csv} belongs to other weights ({str(run['matcher_ckpt_sha256'])[:12]}, not "
            f"{matcher_sha256[:12]}): evaluate with these, or give "
            "--matcher-ckpt, the checkpoint of Module 2 that the scores are of"
        )
    return run
