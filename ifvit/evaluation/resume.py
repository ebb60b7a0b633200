"""The folder of an evaluation: when two runs are the same run, and where a run is resumed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from ifvit.data.prints import Print
from ifvit.evaluation.protocols import Pair
from ifvit.evaluation.scores import COLUMNS, ScoreRow, read_scores
from ifvit.files import keep_earlier, write_text
from ifvit.temporary import sweep
from ifvit.texts import read_json

logger = logging.getLogger("ifvit")

SCORES_FILE, RUN_FILE = "scores.csv", "run.json"

PRINTS = "prints"
"""Key of the prints' sizes and dates: a changed print is compared anew, and makes no other run."""

EXPECTED = "the record of a run that `ifvit evaluate` writes"


class Begun(NamedTuple):
    """Rows that are already there, and the numbers of those whose prints have changed since."""

    rows: list[ScoreRow]
    stale: list[int]


def compared_sha256(comparisons: Sequence[tuple[str, str, int]]) -> str:
    """Return a digest of comparisons in their order: two names and a label each."""
    text = "\n".join(f"{name0}\t{name1}\t{label}" for name0, name1, label in comparisons)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def describe_run(
    settings: dict[str, Any],
    root: str | Path,
    prints: Sequence[Print],
    pairs: Sequence[Pair],
    names: Sequence[str],
) -> dict[str, Any]:
    """Return all that must be equal for two runs to be the same, and under :data:`PRINTS` each file
    that the run reads.

    A data set is identified by its real path and a print by its content, as far as size and date
    show it, never by a name: names of two sets are mostly equal.
    """
    listed = [(names[p.index0], names[p.index1], int(p.genuine)) for p in pairs]
    used = sorted({index for p in pairs for index in (p.index0, p.index1)})
    real = Path(root).resolve()
    return {
        "dataset": real.name,
        "root": str(real),
        **settings,
        "version": version("ifvit"),
        "comparisons": len(pairs),
        "comparisons_sha256": compared_sha256(listed),
        PRINTS: {names[index]: _stamp(prints[index]) for index in used},
    }


def begin(out: Path, run: dict[str, Any], pairs: Sequence[Pair], names: Sequence[str]) -> Begun:
    """Record a run, and return the rows that are already there; begin the table if there is none.

    Files that cannot be read, or belong to no record, are kept under another name. Raises
    ValueError where the folder holds another run.
    """
    record, table = out / RUN_FILE, out / SCORES_FILE
    # Where all rows are there the table is not written again, which would sweep beside it.
    sweep(table)
    earlier = _earlier(record)
    if earlier is None:
        keep_earlier(table)
        write_record(record, run)
    else:
        _check_same(out, earlier, run)
    rows = _rows_of(table, pairs, names)
    before = (earlier or run).get(PRINTS, {})
    now = run[PRINTS]
    changed = {name for name in now if before.get(name) != now[name]}
    if changed and rows:
        logger.warning("%d prints have changed since: they are compared anew", len(changed))
    stale = [n for n, row in enumerate(rows) if row.name0 in changed or row.name1 in changed]
    return Begun(rows, stale)


def warn_of_parts(table: str | Path, rows: Sequence[ScoreRow]) -> None:
    """Warn where a table does not have all comparisons of the run whose record lies beside it."""
    try:
        run = _beside(table)
    except ValueError as error:
        logger.warning("%s: whether %s is whole is not known", error, table)
        return
    if run is not None and (whole := run.get("comparisons")) != len(rows):
        logger.warning(
            "%s has %d of %s comparisons, and the figures are of those alone: run the same "
            "`ifvit evaluate` again, which goes on from there",
            *(table, len(rows), whole),
        )


def check_weights(table: str | Path, dense_sha256: str, matcher_sha256: str) -> None:
    """Raise ValueError where the record beside a table says that other weights gave its scores."""
    run = _beside(table) or {}
    given = {"dense_ckpt_sha256": dense_sha256, "matcher_ckpt_sha256": matcher_sha256}
    for name, sha256 in given.items():
        if str(run.get(name, sha256)) != sha256:
            raise ValueError(
                f"{table} is of other weights ({str(run[name])[:12]}, not {sha256[:12]}): give the "
                "--dense-ckpt and --matcher-ckpt that were evaluated"
            )


def _beside(table: str | Path) -> dict[str, Any] | None:
    """Return the record beside a table, None where there is none; raises ValueError as
    ``read_json`` does."""
    record = Path(table).with_name(RUN_FILE)
    return read_json(record, EXPECTED) if record.is_file() else None


def write_record(path: Path, run: dict[str, Any]) -> None:
    """Write a run's record, whole or not at all."""
    write_text(path, json.dumps(run, indent=1) + "\n")


def _stamp(item: Print) -> str:
    try:
        found = os.stat(item.path)
    except OSError:
        return f"missing, {item.ppi} ppi"
    return f"{found.st_size} bytes, {found.st_mtime_ns} ns, {item.ppi} ppi"


def _earlier(record: Path) -> dict[str, Any] | None:
    if not record.exists():
        return None
    try:
        return read_json(record, EXPECTED)
    except ValueError as error:
        logger.warning("%s: it is kept aside, and all is compared anew", error)
        keep_earlier(record)
        return None


def _check_same(out: Path, earlier: dict[str, Any], run: dict[str, Any]) -> None:
    differences = [
        f"{key} was {earlier.get(key)} and is {value}"
        for key, value in run.items()
        if key != PRINTS and earlier.get(key) != value
    ]
    if differences:
        raise ValueError(
            f"{out} holds the scores of another run: {'; '.join(differences)}; choose another --out"
        )


def _rows_of(table: Path, pairs: Sequence[Pair], names: Sequence[str]) -> list[ScoreRow]:
    """Return the rows of a table, whose last one is dropped where it was cut off."""
    header = (",".join(COLUMNS) + "\r\n").encode()
    if table.exists():
        try:
            # Nothing is rewritten: a kill must not lose the rows that are there.
            with table.open("rb+") as file:
                whole = file.read().rfind(b"\n") + 1
                file.truncate(whole)
            if whole >= len(header):
                return _checked(table, pairs, names)
        except ValueError as error:
            logger.warning("%s: it is kept aside, and all is compared anew", error)
        keep_earlier(table)
    write_text(table, header.decode())
    return []


def _checked(table: Path, pairs: Sequence[Pair], names: Sequence[str]) -> list[ScoreRow]:
    rows = read_scores(table)
    found = [(row.name0, row.name1, bool(row.label)) for row in rows]
    if found != [(names[p.index0], names[p.index1], p.genuine) for p in pairs[: len(rows)]]:
        raise ValueError(f"{table} has rows of another list of comparisons")
    return rows
