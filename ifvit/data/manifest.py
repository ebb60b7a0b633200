"""A data set as a table: any prints, wherever they are and whatever they are called."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

from ifvit.config import REFERENCE_PPI
from ifvit.data.prints import Print, check_ppi

logger = logging.getLogger("ifvit")

REQUIRED = ("path", "finger")
COLUMNS = (*REQUIRED, "impression", "ppi", "dataset")


def read_manifest(file: Path, ppi: int | None = None) -> list[Print]:
    """List the prints of a CSV file with a header line, in the file's order.

    Columns: ``path``, relative to the CSV's folder or absolute; ``finger``, equal for prints of
    one finger; and, where wanted, ``impression`` (otherwise the line's number), ``ppi`` (otherwise
    500) and ``dataset`` (otherwise the CSV's name). Others are ignored. ``ppi`` overrides the
    column. Raises ValueError that names line and column, and FileNotFoundError for a print that is
    not there.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 text ({error}): save the table as CSV") from error
    rows = csv.DictReader(text.splitlines())
    header = list(rows.fieldnames or [])
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise ValueError(
            f"{file}, line 1: no column {' or '.join(missing)} among "
            f"{', '.join(header) or 'none'}; expected {' and '.join(REQUIRED)}, and where "
            f"wanted {', '.join(COLUMNS[2:])}"
        )
    if ppi is not None:
        check_ppi(ppi)
        if "ppi" in header:
            logger.warning("%s has a column ppi; read at %d ppi as asked", file, ppi)
    prints = [_print(file, number, row, ppi) for number, row in enumerate(rows, start=2)]
    if not prints:
        raise ValueError(f"{file} lists no prints: expected a line for each after the header")
    return prints


def _print(file: Path, number: int, row: dict[str, str | None], ppi: int | None) -> Print:
    where = f"{file}, line {number}"
    values = {name: (row.get(name) or "").strip() for name in COLUMNS}
    for name in REQUIRED:
        if not values[name]:
            raise ValueError(f"{where}: column {name} is empty; expected a value for every print")
    path = file.parent / values["path"]
    if not path.is_file():
        raise FileNotFoundError(
            f"{where}: no such image: {path}; paths are relative to the table's folder"
        )
    return Print(
        dataset=values["dataset"] or file.stem,
        finger=values["finger"],
        impression=values["impression"] or str(number),
        path=path,
        ppi=ppi if ppi is not None else _resolution(where, values["ppi"]),
    )


def _resolution(where: str, text: str) -> int:
    if not text:
        return REFERENCE_PPI
    try:
        ppi = int(text)
        check_ppi(ppi)
    except ValueError as error:
        raise ValueError(f"{where}, column ppi: {text!r} is no resolution ({error})") from error
    return ppi
