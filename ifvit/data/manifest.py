"""A data set as a table: any prints, wherever they are and whatever they are called."""

from __future__ import annotations

import logging
from pathlib import Path

from ifvit.config import REFERENCE_PPI
from ifvit.data.prints import Print, check_ppi
from ifvit.texts import Row, find_file, not_utf8, read_table, shortened

logger = logging.getLogger("ifvit")

REQUIRED = ("path", "finger")
COLUMNS = (*REQUIRED, "impression", "ppi", "dataset")
EXPECTED = f"{' and '.join(REQUIRED)}, and where wanted {', '.join(COLUMNS[2:])}"


def read_manifest(file: Path, ppi: int | None = None) -> list[Print]:
    """List the prints of a CSV file with a header line, in the file's order.

    Columns: ``path``, relative to the CSV's folder or absolute; ``finger``, equal for prints of
    one finger; and, where wanted, ``impression`` (otherwise the line's number), ``ppi`` (otherwise
    500) and ``dataset`` (otherwise the CSV's name). Others are ignored; in a table of `ifvit synth`
    ``file`` is the path. ``ppi`` overrides the column. Raises ValueError that names line and
    column, and FileNotFoundError for a print that is not there.
    """
    if ppi is not None:
        check_ppi(ppi)
    prints: list[Print] = []
    for row in read_table(file, ("finger",), EXPECTED):
        if not prints:
            _check_header(file, list(row.values), ppi)
        prints.append(_print(file, row, ppi))
    if not prints:
        raise ValueError(f"{file} lists no prints: expected a line for each after the header")
    return prints


def _check_header(file: Path, header: list[str], ppi: int | None) -> None:
    if not {"path", "file"} & set(header):
        raise ValueError(
            f"{file}, line 1: no column path among {shortened(', '.join(header), 150)}; "
            f"expected {EXPECTED}"
        )
    if ppi is not None and "ppi" in header:
        logger.warning("%s has a column ppi; read at %d ppi as asked", file, ppi)


def path_in(row: Row) -> str:
    """Return how a row of a table calls a print's file; ``file`` is what `ifvit synth` says."""
    return (row.values.get("path", "").strip() or row.values.get("file", "")).strip()


def _print(file: Path, row: Row, ppi: int | None) -> Print:
    where = f"{file}, line {row.line}"
    values = {name: row.values.get(name, "").strip() for name in COLUMNS}
    name = path_in(row)
    for column, value in (("path", name), ("finger", values["finger"])):
        if not value:
            raise ValueError(f"{where}: column {column} is empty; expected a value for every print")
    path = find_file(file.parent, name)
    if path is None:
        raise FileNotFoundError(
            f"{where}: no such image: {shortened(str(file.parent / name), 250)}; paths are "
            f"relative to the table's folder{not_utf8(name)}"
        )
    return Print(
        dataset=values["dataset"] or file.stem,
        finger=values["finger"],
        impression=values["impression"] or str(row.line),
        path=path,
        ppi=ppi if ppi is not None else _resolution(where, values["ppi"]),
    )


def _resolution(where: str, text: str) -> int:
    if not text:
        return REFERENCE_PPI
    try:
        ppi = float(text)
        check_ppi(ppi)
        if not ppi.is_integer():
            raise ValueError("expected a whole number")
    except ValueError as error:
        why = shortened(str(error), 160)
        found = repr(shortened(text, 40))
        raise ValueError(f"{where}, column ppi: {found} is no resolution ({why})") from error
    return int(ppi)
