"""A data set as a table: any prints, wherever they are and whatever they are called."""

from __future__ import annotations

import logging
from pathlib import Path

from ifvit.config import REFERENCE_PPI
from ifvit.data.prints import Print, check_ppi
from ifvit.texts import Row, find_file, read_table, shortened

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
    rows = read_table(file, ("finger",), EXPECTED)
    header = list(rows[0].values) if rows else []
    if rows and not {"path", "file"} & set(header):
        raise ValueError(
            f"{file}, line 1: no column path among {shortened(', '.join(header), 150)}; "
            f"expected {EXPECTED}"
        )
    if ppi is not None:
        check_ppi(ppi)
        if "ppi" in header:
            logger.warning("%s has a column ppi; read at %d ppi as asked", file, ppi)
    prints = [_print(file, row, ppi) for row in rows]
    if not prints:
        raise ValueError(f"{file} lists no prints: expected a line for each after the header")
    return prints


def _print(file: Path, row: Row, ppi: int | None) -> Print:
    where = f"{file}, line {row.line}"
    values = {name: row.values.get(name, "").strip() for name in COLUMNS}
    # What `ifvit synth` calls a print's path.
    name = values["path"] or row.values.get("file", "").strip()
    for column, value in (("path", name), ("finger", values["finger"])):
        if not value:
            raise ValueError(f"{where}: column {column} is empty; expected a value for every print")
    path = find_file(file.parent, name)
    if path is None:
        raise FileNotFoundError(
            f"{where}: no such image: {file.parent / name}; paths are relative to the table's "
            f"folder{_encoded(name)}"
        )
    return Print(
        dataset=values["dataset"] or file.stem,
        finger=values["finger"],
        impression=values["impression"] or str(row.line),
        path=path,
        ppi=ppi if ppi is not None else _resolution(where, values["ppi"]),
    )


def _encoded(name: str) -> str:
    strange = any("\udc80" <= sign <= "\udcff" for sign in name)
    return ", and its name is not UTF-8: save the table as CSV in UTF-8" if strange else ""


def _resolution(where: str, text: str) -> int:
    if not text:
        return REFERENCE_PPI
    try:
        ppi = float(text)
        check_ppi(ppi)
        if not ppi.is_integer():
            raise ValueError("expected a whole number")
    except ValueError as error:
        raise ValueError(f"{where}, column ppi: {text!r} is no resolution ({error})") from error
    return int(ppi)
