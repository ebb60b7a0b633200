"""Text as others write it: lists, tables and records, each read in one way and named in errors.

Bytes of names that are no UTF-8 are kept (Python's ``surrogateescape``), so that a file of any
name can be listed.
"""

from __future__ import annotations

import codecs
import csv
import json
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ifvit.files import check_exists

MOST_BYTES = 1 << 30
"""Largest size of a table or a list in bytes: that of ten million comparisons."""

MOST_AT_ONCE = 32 << 20
"""Largest size of a text that is held as a whole, in bytes: a calibration of a million scores."""

MOST_LINE = 1 << 20
"""Largest number of characters in a line of a table or a list."""

MOST_EMPTY = 100_000
"""Largest number of empty lines in a table."""

MOST_UNPACKED = 160_000_000
"""Most bytes that a JSON text may take as Python's objects: over four million numbers."""

BYTES_OF = {",": 32, "[": 64, "{": 240, ":": 130}
"""Bytes for each of these characters in a JSON text: of a number, a list, an object, an entry."""

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

LONGEST = 500
"""Largest number of characters of a message that somebody reads."""


_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Row(NamedTuple):
    """A row of a table: the line that it begins in, and its values by column, as they are."""

    line: int
    values: dict[str, str]


def shortened(text: str, most: int = LONGEST) -> str:
    """Return a message in one line, without its middle where it is longer than ``most``."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    # What was found stands at the start of a message, and what to do at its end.
    end = most // 3
    return f"{line[: most - end - 3].rstrip()} … {line[-end:].lstrip()}"


def read_text(path: str | Path, expected: str) -> str:
    """Read a short text in UTF-8, or in UTF-16 where it says so or shows it.

    Raises FileNotFoundError, and ValueError that names the file for a folder or for what is no
    text.
    """
    return "".join(_pieces(path, expected, MOST_AT_ONCE))


def read_lines(path: str | Path, expected: str, newline: str = "") -> Iterator[str]:
    """Yield the lines of a text of any length, with their ends, as :func:`read_text` reads it.

    ``newline`` is that of Python's ``open``. Raises as :func:`read_text`, and ValueError for a line
    that has no end.
    """
    for number, line in enumerate(_pieces(path, expected, MOST_BYTES, newline, MOST_LINE + 1), 1):
        if len(line) > MOST_LINE:
            raise ValueError(
                f"{path}, line {number}: more than {MOST_LINE} characters: expected {expected}"
            )
        yield line


def _pieces(
    path: str | Path, expected: str, most: int, newline: str = "", longest: int = -1
) -> Iterator[str]:
    """Yield a text's lines; those of more than ``longest`` characters come in parts."""
    check_exists(path, expected)
    if (size := Path(path).stat().st_size) > most:
        raise ValueError(f"{path} has {size / 1e6:.0f} MB: expected {expected}")
    with open(path, "rb") as file:
        encoding = _encoding(file.read(4))
    errors = "strict" if encoding.startswith("utf-16") else "surrogateescape"
    try:
        with open(path, encoding=encoding, errors=errors, newline=newline) as text:
            while line := text.readline(longest):
                if "\0" in line:
                    raise ValueError(f"{path} holds bytes that are no text: expected {expected}")
                yield line
    except UnicodeError as error:
        raise ValueError(f"{path} is no {encoding} text ({error}): expected {expected}") from error


def _encoding(start: bytes) -> str:
    found = next((name for mark, name in MARKS.items() if start.startswith(mark)), "")
    if not found and b"\0" in start[:2]:
        # Every second byte of Latin text is 0, in the order of the machine that wrote it.
        return "utf-16-be" if start[:1] == b"\0" else "utf-16-le"
    return found or "utf-8"


def read_json(path: str | Path, expected: str) -> dict[str, Any]:
    """Read a JSON object; raises FileNotFoundError, and ValueError for a file that is not one."""
    try:
        return parse_json(read_text(path, expected))
    except ValueError as error:
        reason = str(error) if str(path) in str(error) else f"{path} cannot be read ({error})"
        raise ValueError(f"{reason}: expected {expected}") from error


def parse_json(text: str, *, finite: bool = True) -> dict[str, Any]:
    """Return the object that a JSON text holds; raises ValueError for anything else.

    NaN and infinity, which Python reads and writes, are no JSON and are refused where ``finite``. A
    text whose values would take far more memory than itself is refused too.
    """
    unpacked = sum(text.count(sign) * size for sign, size in BYTES_OF.items())
    if unpacked > MOST_UNPACKED:
        raise ValueError(f"it holds values of some {unpacked / 1e6:.0f} MB")
    try:
        values = json.loads(text, parse_constant=_no_constant if finite else None)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"it holds a {type(values).__name__}, not an object")
    return values


def read_table(path: str | Path, required: Sequence[str], expected: str) -> Iterator[Row]:
    """Yield the rows of a table with a header line: commas, semicolons or tabs between its columns.

    ``required`` are columns that it must have. Lines without anything are passed over. Raises
    FileNotFoundError, and ValueError that names file and line for a missing or doubled column, a
    row with more or fewer values than the header, or a quote that is not closed.
    """
    lines = read_lines(path, expected)
    start, empty = next(lines, ""), 0
    before = int(bool(re.fullmatch(r"sep=.[\r\n]*", start)))  # a line that Excel writes for itself
    held = [] if before else [start]
    while (
        not "".join(held[-1:]).strip() and len(held) <= MOST_EMPTY and (further := next(lines, ""))
    ):
        held.append(further)
    delimiter = max(",;\t", key="".join(held[-1:]).count)
    reader = csv.reader(chain(held, lines), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    begun = 1
    try:
        for cells in reader:
            line, begun = begun + before, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                empty += 1
                if empty > MOST_EMPTY:
                    raise ValueError(f"{path} has more than {MOST_EMPTY} lines without anything")
            elif header is None:
                header = _header(path, [cell.strip() for cell in cells], required, expected)
            else:
                yield Row(line, _values(f"{path}, line {line}", header, cells))
    except csv.Error as error:
        where = f"{path}, line {begun + before}"
        raise ValueError(f"{where}: {error}; is a quote not closed?") from error
    if header is None:
        _header(path, [], required, expected)


def find_file(folder: Path, name: str) -> Path | None:
    """Return the file that a list calls ``name``, relative to a folder or absolute; None if none.

    The name is tried as it is written, with the slashes of another system, and in both of Unicode's
    forms of a letter with an accent: one system writes é as one character, another as two.
    """
    for one in dict.fromkeys((name, name.replace("\\", "/"))):
        forms: tuple[Literal["NFC", "NFD"] | None, ...] = (None, "NFC", "NFD")
        for form in forms:
            path = folder / (unicodedata.normalize(form, one) if form else one)
            if os.path.isfile(path):
                return path
    return None


def not_utf8(text: str) -> str:
    """Return a remark on a table's text that holds bytes of another encoding, or an empty text."""
    strange = any("\udc80" <= sign <= "\udcff" for sign in text)
    return ", and its name is not UTF-8: save the table as CSV in UTF-8" if strange else ""


def one_field(text: str) -> str:
    """Return a text as a field of a printed line: tabs, line breaks and the like spelled out."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def same_name(name: str) -> str:
    """Return one spelling for all spellings of a name that :func:`find_file` takes for one."""
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _no_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which is no number")


def _header(
    path: str | Path, cells: list[str], required: Sequence[str], expected: str
) -> list[str]:
    missing = [name for name in required if name not in cells]
    if missing:
        raise ValueError(
            f"{path}, line 1: no column {' or '.join(missing[:3])} among "
            f"{shortened(', '.join(cells), 150) or 'none'}; expected {expected}"
        )
    doubled = [name for name in required if cells.count(name) > 1]
    if doubled:
        raise ValueError(f"{path}, line 1: column {doubled[0]} is there twice; remove one")
    return cells


def _values(where: str, header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(header):
        raise ValueError(
            f"{where}: {len(cells)} values for {len(header)} columns; expected one for each, and "
            "quotes around a value that holds the separator"
        )
    for name, cell in zip(header, cells, strict=True):
        if "\n" in cell or "\r" in cell:
            raise ValueError(
                f"{where}, column {name}: a value over several lines; is a quote not closed?"
            )
    return dict(zip(header, cells, strict=True))
