"""Reading the rows of a gallery by their numbers: labels, index vectors, biometric columns."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int8, UInt64

from ifvit.gallery.engine import byte_matrix, engine_errors
from ifvit.gallery.rows import (
    LABELS,
    SCHEMA,
    Row,
    checksum,
    label_text,
    place,
    plain_text,
    to_rows,
)
from ifvit.gallery.sealing import Sealer

FEW = 512
"""Number of rows in memory at once, where all rows are read."""

STRIPE = 1 << 16
"""Number of index vectors read at once."""


class NobodyError(ValueError):
    """No row has the id or the subject that was asked for."""


class RowReader:
    """A table of rows, at one version until :meth:`refresh`.

    The engine identifies a row by a number, which is valid within a version.
    """

    def __init__(self, uri: str, table: Any, sealer: Sealer | None) -> None:
        """Take an open table, and the sealer that decrypts it, where it is encrypted."""
        self.uri, self.sealer, self._table = uri, sealer, table

    def refresh(self) -> int:
        """Go to the newest version, with the commits of others, and return its number."""
        with engine_errors(self.uri, "reading"):
            self._table.checkout_latest()
            return int(self._table.version)

    def at(self, version: int) -> None:
        """Go to a version of the table; raises ValueError where it has been removed."""
        with engine_errors(self.uri, f"reading version {version}"):
            if int(self._table.version) != version:
                self._table.checkout(version)

    def count(self) -> int:
        """Return the number of prints."""
        with engine_errors(self.uri, "reading"):
            return int(self._table.count_rows())

    def others(self, maker: str) -> set[str]:
        """Return the fingerprints, other than ``maker``, of weights and settings that made
        templates."""
        where = f"made_by != '{maker}'"
        with engine_errors(self.uri, "reading"):
            if not self._table.count_rows(where):
                return set()
            found = self._table.search().where(where).select(["made_by"]).to_arrow()
        return set(found["made_by"].unique().to_pylist())

    def whose(self, ids: Sequence[str]) -> dict[str, tuple[str, str, str]]:
        """Return subject, finger and time of those ids that are there."""
        names = ["id", "subject", "finger", "enrolled"]
        with engine_errors(self.uri, "reading"):
            query = self._table.search().where(among(ids)).select(names)
            found = query.to_arrow().to_pylist() if ids else []
        return {one["id"]: (one["subject"], one["finger"], one["enrolled"]) for one in found}

    def fragments(self) -> int:
        """Return in how many fragments the table lies."""
        with engine_errors(self.uri, "reading"):
            return len(self._table.to_lance().get_fragments())

    def labels(self) -> pa.Table:
        """Return all columns that are not biometric, one row for each print."""
        with engine_errors(self.uri, "reading"):
            return self._table.search().select(list(LABELS)).to_arrow()

    def labels_at(self, numbers: Sequence[int]) -> list[dict]:
        """Return the labels of some rows, in the order of their numbers."""
        return self._taken(numbers, LABELS).to_pylist()

    def find(self, name: str, finger: str = "") -> list[int]:
        """Return the number of the row with an id, or else the numbers of a subject's rows.

        ``finger`` limits a subject's rows to one finger. Raises :class:`NobodyError` where there
        are none.
        """
        for column in ("id", "subject"):
            where = _is_called(column, name)
            where += f" AND {_is_called('finger', finger)}" if finger else ""
            with engine_errors(self.uri, "reading"):
                query = self._table.search().where(where).select(["id"]).with_row_id(True)
                found = query.to_arrow()["_rowid"].to_pylist() if name else []
            if found:
                return [int(number) for number in found]
        whose = f"{name!r}, finger {finger!r}" if finger else repr(name)
        raise NobodyError(
            f"nobody in the gallery is called {whose}: expected an id or a subject that `ifvit "
            "list` shows"
        )

    def index(
        self, start: int = 0, count: int | None = None
    ) -> tuple[UInt64[np.ndarray, " P"], Int8[np.ndarray, "P E"]]:
        """Return the numbers of rows, and their index vectors.

        They are those of all rows, or of ``count`` rows from place ``start`` on.
        """
        numbers, parts = [np.zeros(0, np.uint64)], list[np.ndarray]()
        for batch, column in self._scanned("index", start, count):
            numbers.append(batch["_rowid"].to_numpy())
            parts.append(byte_matrix(column))
        made = [part for part in parts if len(part)]
        return np.concatenate(numbers), np.concatenate(made or [np.zeros((0, 0), np.int8)])

    def maps(self, start: int, count: int) -> dict[int, bytes]:
        """Return the dense maps of ``count`` rows from ``start`` on, as bytes, by their numbers."""
        held: dict[int, bytes] = {}
        for batch, column in self._scanned("map", start, count):
            data = (one or b"" for one in column.to_pylist())
            held.update(zip(batch["_rowid"].to_pylist(), data, strict=True))
        return held

    def _scanned(
        self, column: str, start: int, count: int | None
    ) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
        """Yield a biometric column of consecutive rows, with their numbers."""
        names = ["id", column] if self.sealer else [column]
        with engine_errors(self.uri, "reading"):
            query = self._table.search().select(names).with_row_id(True)
            if count is not None:
                query = query.offset(start).limit(count)
            for batch in query.to_batches(STRIPE):
                yield batch, self._plain(batch, column)

    def _plain(self, batch: pa.RecordBatch, column: str) -> pa.Array:
        if not self.sealer:
            return batch[column]
        ids, data = batch["id"].to_pylist(), batch[column].to_pylist()
        return pa.array(self._opened(ids, data, column), pa.binary())

    def values(self, numbers: Sequence[int], column: str) -> list[bytes | None]:
        """Return a biometric column of some rows, in the order of their numbers."""
        found = self._taken(numbers, ("id", column))
        data = found[column].to_pylist()
        return self._opened(found["id"].to_pylist(), data, column) if self.sealer else data

    def _taken(self, numbers: Sequence[int], columns: Sequence[str]) -> pa.Table:
        if not numbers:
            return SCHEMA.empty_table().select(list(columns))
        with engine_errors(self.uri, "reading"):
            wanted = self._table.take_row_ids(list(dict.fromkeys(numbers)))
            found = wanted.select(list(columns)).with_row_id().to_arrow()
        at = {number: row for row, number in enumerate(found["_rowid"].to_pylist())}
        return found.select(list(columns)).take([at[number] for number in numbers])

    def _opened(
        self, ids: Sequence[str], data: Sequence[bytes | None], column: str
    ) -> list[bytes | None]:
        opened, listed = self.sealer.opened, zip(ids, data, strict=True)  # type: ignore[union-attr]
        return [None if one is None else opened(one, place(id, column)) for id, one in listed]

    def rows(self, ids: Sequence[str] | None = None) -> Iterator[list[Row]]:
        """Yield all rows, or those of some ids, with all that they hold, some at a time."""
        for table in self._tables(ids):
            yield to_rows(table, self.sealer)

    def rows_at(self, numbers: Sequence[int]) -> list[Row]:
        """Return some rows with all that they hold, in the order of their numbers."""
        return to_rows(self._taken(numbers, SCHEMA.names), self.sealer)

    def _tables(self, ids: Sequence[str] | None = None) -> Iterator[pa.Table]:
        query = self._table.search()
        if ids is not None:
            query = query.where(among(ids))
        with engine_errors(self.uri, "reading"):
            for batch in query.to_batches(FEW):
                yield pa.Table.from_batches([batch])

    def damaged(self) -> list[str]:
        """Return the ids of rows that do not hold what was written, by their checksums."""
        wrong = []
        for table in self._tables():
            for row in table.to_pylist():
                if checksum(row) != row["checksum"]:
                    wrong.append(row["id"])
        return wrong


def _is_called(column: str, name: str) -> str:
    """Return a filter in SQL for a name, in either of Unicode's forms: older rows have any.

    Bytes that are no UTF-8 are spelled out in every column.
    """
    plain = plain_text(name)
    forms = dict.fromkeys((plain, label_text(name), unicodedata.normalize("NFD", plain)))
    return f"{column} IN ({', '.join(map(_quoted, forms))})"


def _quoted(text: str) -> str:
    """Return a text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def among(ids: Iterable[str]) -> str:
    """Return a filter in SQL; ids are hexadecimal digits, which need no care."""
    listed = ", ".join(f"'{id}'" for id in ids)
    return f"id IN ({listed})"
