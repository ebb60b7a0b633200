"""Prints to enrol, from files, folders, tables or memory, with the person and finger they show.

A print that is kept is stored without loss: the bytes of its file, or a PNG of an array.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ifvit.config import REFERENCE_PPI
from ifvit.data.damage import BinaryFile
from ifvit.data.given import PrintSource, as_path, name_of
from ifvit.data.prints import check_ppi
from ifvit.data.readers import read_dataset
from ifvit.texts import Row, find_file, not_utf8, read_table, shortened

TABLE_COLUMNS = ("path", "subject", "finger", "ppi")

EXPECTED = "a column path, and where wanted subject, finger and ppi; all others are metadata"

LOWEST_QUALITY = 20.0
"""Quality below which a print is refused: it would be found again in only one case of five."""


@dataclass(frozen=True)
class Entry:
    """A print to enrol, with its subject and finger."""

    source: PrintSource
    subject: str = ""
    finger: str = ""
    ppi: float = float(REFERENCE_PPI)
    name: str = ""
    """The print's name; if not given, a file is named by its path."""
    metadata: dict[str, str] = field(default_factory=dict)


def entries(
    given: Iterable[PrintSource | Entry],
    subject: str = "",
    finger: str = "",
    ppi: float | None = None,
    metadata: dict[str, str] | None = None,
) -> Iterator[Entry]:
    """Yield the entries to enrol: files and prints in memory, and all prints of a folder.

    The fingers of a folder are known by its layout (:func:`ifvit.data.readers.read_dataset`);
    without a ``subject`` each finger is a subject of its own, ``FOLDER/FINGER``. Raises as
    ``read_dataset`` and ``check_ppi`` do.
    """
    if ppi is not None:
        check_ppi(ppi)
    usual = Entry(b"", subject, finger, float(ppi or REFERENCE_PPI), "", metadata or {})
    for number, one in enumerate(map(as_path, given)):
        if isinstance(one, Entry):
            yield one
        elif isinstance(one, str | Path) and os.path.isdir(one):
            yield from _folder(one, usual, None if ppi is None else int(ppi))
        else:
            in_memory = name_of(one, f"print {number}")
            name = str(one) if isinstance(one, str | Path) else in_memory
            yield replace(usual, source=one, name=name)


def _folder(folder: str | Path, usual: Entry, ppi: int | None) -> Iterator[Entry]:
    for item in read_dataset(folder, ppi):
        alone = f"{item.dataset}/{item.finger}"
        whose = (usual.subject, item.finger) if usual.subject else (alone, usual.finger)
        yield replace(
            usual,
            source=item.path,
            subject=whose[0],
            finger=whose[1],
            ppi=float(item.ppi),
            name=str(item.path),
        )


def table_entries(table: str | Path, ppi: float | None = None) -> list[Entry]:
    """Return the prints of a CSV table: ``path``, absolute or relative to the table, and labels.

    A table of `ifvit synth` is as good as its folder. Raises FileNotFoundError and ValueError that
    name the line.
    """
    file, made = Path(table), []
    for row in read_table(file, (), EXPECTED):
        if "path" not in row.values:
            return _data_set(file, row, ppi)
        values = {name: text.strip() for name, text in row.values.items()}
        where = f"{file}, line {row.line}"
        name = values["path"]
        path = find_file(file.parent, name) if name else None
        if path is None:
            hint = not_utf8(name)
            raise FileNotFoundError(f"{where}: no such image: {shortened(name, 250)}{hint}")
        _check_utf8(where, values)
        others = {n: v for n, v in values.items() if n and n not in TABLE_COLUMNS and v}
        resolution = ppi or _number(values.get("ppi", ""), where)
        whose = values.get("subject", ""), values.get("finger", "")
        made.append(Entry(path, *whose, resolution, str(path), others))
    if not made:
        raise ValueError(f"{file} lists no prints: expected a line for each after the header")
    return made


def _data_set(file: Path, row: Row, ppi: float | None) -> list[Entry]:
    if not {"file", "finger"} <= set(row.values):
        raise ValueError(
            f"{file}, line 1: no column path among {shortened(', '.join(row.values), 150)}; "
            f"expected {EXPECTED}"
        )
    usual = Entry(b"", ppi=float(ppi or REFERENCE_PPI))
    made = _folder(file, usual, None if ppi is None else int(ppi))
    # Called as the prints of the folder are, of which the table is another listing.
    folder = os.path.basename(os.path.abspath(file.parent))
    return [replace(one, subject=f"{folder}/{one.subject.partition('/')[2]}") for one in made]


def _check_utf8(where: str, values: dict[str, str]) -> None:
    """Raise ValueError for what would be kept as another text than was meant."""
    for column, text in values.items():
        if column != "path" and not_utf8(text):
            raise ValueError(
                f"{where}, column {column}: {shortened(text, 60)!r} is no UTF-8: save the table as "
                "CSV in UTF-8"
            )


def _number(text: str, where: str) -> float:
    try:
        value = float(text or REFERENCE_PPI)
        check_ppi(value)
    except ValueError as error:
        raise ValueError(
            f"{where}, column ppi: {shortened(text, 40)!r} is no number: expected pixels per inch"
        ) from error
    return value


def readable(source: PrintSource) -> PrintSource:
    """Return a print that can be read more than once: an open file's bytes. Raises OSError."""
    if isinstance(source, BinaryFile) and not isinstance(source, Image.Image):
        return source.read()
    return source


def image_file(source: PrintSource) -> bytes:
    """Return a print as an image file, without loss: the file itself, or a PNG.

    Floats become 16 bit, the finest that a PNG has. Raises OSError.
    """
    if isinstance(source, str | Path):
        with open(source, "rb") as file:
            return file.read()
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    made = io.BytesIO()
    picture = _picture(source) if isinstance(source, np.ndarray) else source
    if not isinstance(picture, Image.Image):
        raise TypeError(f"a print of type {type(source).__name__}")
    picture.save(made, "PNG")
    return made.getvalue()


def _picture(values: np.ndarray) -> Image.Image:
    if np.issubdtype(values.dtype, np.floating):
        values = np.round(values * np.iinfo(np.uint16).max).astype(np.uint16)
    return Image.fromarray(values)


def identity(subject: str, finger: str, id: str) -> tuple[str, str]:
    """Return a key that prints of one finger share; a print without a subject has its own."""
    return (subject, finger) if subject else ("", id)
