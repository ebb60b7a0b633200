"""Engines that could keep a gallery, beside each other in one run: LanceDB, SQLite, plain files.

Usage: ``python benchmarks/gallery_engines.py --rows 1000000``. Each keeps the same rows, an index
vector of 256 bytes and a map of 3,285, drawn at random, and does what a search and an enrolment
ask for: all index vectors into memory, 2,000 maps of anywhere, 32 rows more as one commit, one row
gone. SQLite has the vectors in a table of their own, so that maps are not read with them; plain
files are two arrays, mapped into memory, which know no commits. LanceDB's own index of vectors is
timed too, with its recall: how many of the 100 best it finds.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import IvfPq
from timing import machine

INDEX, MAP = 256, 3285
AT_ONCE = 50_000
MAPS, MORE = 2000, 32
BEST, PROBES = 100, 20


def timed(call: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return index vectors and maps."""
    rng = np.random.default_rng(seed)
    # Vectors in few directions, as those of prints are: otherwise no index could find anything.
    wide = rng.standard_normal((count, 32), np.float32) @ DIRECTIONS
    wide += 0.1 * rng.standard_normal((count, INDEX), np.float32)
    index = np.round(127 * wide / np.abs(wide).max(axis=1, keepdims=True)).astype(np.int8)
    return index, rng.integers(-127, 128, (count, MAP), np.int8)


DIRECTIONS = np.random.default_rng(9).standard_normal((32, INDEX)).astype(np.float32)


class Lance:
    """A table of LanceDB, as the gallery has it."""

    name = "LanceDB"

    def __init__(self, folder: Path) -> None:
        """Make it."""
        self.schema = pa.schema([("id", pa.int64()), ("index", pa.binary()), ("map", pa.binary())])
        self.table = lancedb.connect(folder).create_table("prints", schema=self.schema)

    def add(self, first: int, index: np.ndarray, maps: np.ndarray) -> None:
        """Commit rows."""
        ids = pa.array(range(first, first + len(index)))
        columns = [pa.array([row.tobytes() for row in part], pa.binary()) for part in (index, maps)]
        self.table.add(pa.table([ids, *columns], schema=self.schema))

    def vectors(self) -> np.ndarray:
        """Return all index vectors."""
        found = self.table.search().select(["index"]).to_batches(1 << 16)
        return np.concatenate([np.frombuffer(b["index"].buffers()[2], np.int8) for b in found])

    def maps(self, rows: list[int]) -> int:
        """Read the maps of some rows."""
        return len(self.table.take_offsets(rows).select(["map"]).to_arrow())

    def remove(self, row: int) -> None:
        """Commit that a row is gone."""
        self.table.delete(f"id = {row}")


class Sqlite:
    """Two tables of SQLite, in its write-ahead mode."""

    name = "SQLite"

    def __init__(self, folder: Path) -> None:
        """Make them."""
        folder.mkdir()
        self.db = sqlite3.connect(folder / "prints.db")
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("CREATE TABLE vectors (id INTEGER PRIMARY KEY, vector BLOB)")
        self.db.execute("CREATE TABLE maps (id INTEGER PRIMARY KEY, map BLOB)")

    def add(self, first: int, index: np.ndarray, maps: np.ndarray) -> None:
        """Commit rows."""
        for table, part in (("vectors", index), ("maps", maps)):
            rows = ((first + n, row.tobytes()) for n, row in enumerate(part))
            self.db.executemany(f"INSERT INTO {table} VALUES (?, ?)", rows)
        self.db.commit()

    def vectors(self) -> np.ndarray:
        """Return all index vectors."""
        found = self.db.execute("SELECT vector FROM vectors ORDER BY id")
        return np.frombuffer(b"".join(row[0] for row in found), np.int8)

    def maps(self, rows: list[int]) -> int:
        """Read the maps of some rows."""
        found = [
            self.db.execute("SELECT map FROM maps WHERE id = ?", (r,)).fetchone() for r in rows
        ]
        return len(found)

    def remove(self, row: int) -> None:
        """Commit that a row is gone."""
        for table in ("vectors", "maps"):
            self.db.execute(f"DELETE FROM {table} WHERE id = ?", (row,))
        self.db.commit()


class Files:
    """Two files that grow."""

    name = "plain files"

    def __init__(self, folder: Path) -> None:
        """Make them."""
        folder.mkdir()
        self.paths = folder / "index", folder / "maps"

    def add(self, first: int, index: np.ndarray, maps: np.ndarray) -> None:
        """Append rows."""
        for path, part in zip(self.paths, (index, maps), strict=True):
            with path.open("ab") as file:
                file.write(part.tobytes())

    def vectors(self) -> np.ndarray:
        """Return all index vectors."""
        return np.fromfile(self.paths[0], np.int8)

    def maps(self, rows: list[int]) -> int:
        """Read the maps of some rows."""
        held = np.memmap(self.paths[1], np.int8, "r").reshape(-1, MAP)
        return len(held[rows].copy())

    def remove(self, row: int) -> None:
        """Mark a row as gone, in place."""
        held = np.memmap(self.paths[0], np.int8, "r+").reshape(-1, INDEX)
        held[row] = 0
        held.flush()


def compared(engine: Lance | Sqlite | Files, folder: Path, rows: int) -> None:
    """Fill an engine, and print what it takes."""
    added = 0.0
    for first in range(0, rows, AT_ONCE):
        few = drawn(min(AT_ONCE, rows - first), first)
        start = time.perf_counter()
        engine.add(first, *few)
        added += time.perf_counter() - start
    rng = np.random.default_rng(1)
    places = [sorted(rng.choice(rows, MAPS, replace=False).tolist()) for _ in range(5)]
    more = drawn(MORE, 7)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    figures = {
        "added, rows/s": rows / added,
        "GB": size / 1e9,
        "all vectors, s": min(timed(engine.vectors) for _ in range(3)),
        "2000 maps, ms": 1000
        * float(np.median([timed(lambda p=p: engine.maps(p)) for p in places])),
        "32 more, ms": 1000 * timed(lambda: engine.add(rows, *more)),
        "one gone, ms": 1000 * timed(lambda: engine.remove(5)),
    }
    told = "   ".join(f"{name} {value:.4g}" for name, value in figures.items())
    print(f"{engine.name:<12} {told}", flush=True)


def own_index(folder: Path, rows: int) -> None:
    """Build LanceDB's own index of vectors, and print its time and recall beside the product's."""
    schema = pa.schema([("vector", pa.list_(pa.float16(), INDEX))])
    table = lancedb.connect(folder).create_table("vectors", schema=schema)
    held = []
    for first in range(0, rows, AT_ONCE):
        index, _ = drawn(min(AT_ONCE, rows - first), first)
        held.append(index)
        flat = pa.array(index.astype(np.float16).ravel())
        table.add(pa.table([pa.FixedSizeListArray.from_arrays(flat, INDEX)], schema=schema))
    vectors = np.concatenate(held)
    lengths = np.linalg.norm(vectors.astype(np.float32), axis=1)
    start = time.perf_counter()
    table.create_index("vector", config=IvfPq(distance_type="cosine"))
    built = time.perf_counter() - start
    recall, seconds = [], []
    for place in np.random.default_rng(2).choice(rows, PROBES, replace=False):
        probe = vectors[place].astype(np.float32)
        scores = np.concatenate(
            [vectors[n : n + 512].astype(np.float32) @ probe for n in range(0, rows, 512)]
        )
        true = set(np.argsort(-scores / lengths)[:BEST].tolist())
        start = time.perf_counter()
        query = table.search(probe).distance_type("cosine").nprobes(20).refine_factor(5)
        found = query.limit(BEST).with_row_id(True).to_arrow()
        seconds.append(time.perf_counter() - start)
        # Rows of a table that was only added to are numbered by fragment and place in it.
        numbers = found["_rowid"].to_numpy()
        recall.append(
            len(true & set(((numbers >> 32) * AT_ONCE + (numbers & 0xFFFFFFFF)).tolist()))
        )
    print(
        f"IVF_PQ       built in {built:.0f} s   search {1000 * np.median(seconds):.1f} ms   "
        f"recall of the {BEST} best {np.mean(recall) / BEST:.3f}"
    )


def main() -> None:
    """Compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--index", action="store_true", help="time LanceDB's own index too")
    options = parser.parse_args()
    print(f"# {machine()}, {options.rows} rows", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        for kind in (Lance, Sqlite, Files):
            folder = Path(temporary) / kind.__name__
            compared(kind(folder), folder, options.rows)
        if options.index:
            own_index(Path(temporary) / "own", options.rows)


if __name__ == "__main__":
    main()
