"""What a gallery costs: opening, memory, each stage of a search, enrolment; by a million prints.

Usage: ``python benchmarks/gallery.py --rows 1000000``. Synthetic prints are enrolled with the
weights that ship, and kept. The index vectors of all further rows are drawn from the mean and the
covariance of theirs, and their maps at random: such rows say nothing about accuracy, only about
time and size. Opening and searching is done in a process of its own, whose memory is told beyond
what it had with everything imported. Needs 4 GB of disk for a million rows; all of it is removed
again, unless ``--folder`` says where it is to stay.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from timing import machine

from ifvit.features.coder import Template
from ifvit.gallery.gallery import Gallery
from ifvit.gallery.made_by import made_by
from ifvit.gallery.rescore import PAIRS, Rescorer
from ifvit.gallery.row_store import Store
from ifvit.gallery.rows import Row
from ifvit.gallery.search import MAPS, best, index_scores, map_scores, snapshot, stored_maps
from ifvit.matcher import Matcher

FINGERS, IMPRESSIONS = 30, 3
AT_ONCE = 50_000
REPEATS = 7


def line(name: str, value: float, unit: str, note: str = "") -> None:
    """Print a figure."""
    print(f"{name:<44} {value:>12.4g} {unit:<10} {note}".rstrip(), flush=True)


def timed(call) -> float:
    """Return the median seconds of some calls."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def enrol(folder: Path, matcher: Matcher) -> list[Template]:
    """Enrol synthetic prints, the first ones to compile, and return their templates."""
    from ifvit.synthesis.dataset import DatasetSpec, write_dataset

    prints = folder / "prints"
    if not prints.exists():
        write_dataset(prints, DatasetSpec(fingers=FINGERS, impressions=IMPRESSIONS))
    paths = sorted(prints.glob("*_*.png"))
    gallery = Gallery(folder / "gallery", matcher, create=True)
    gallery.enroll(paths[:4], keep_prints=True)
    start, cpu = time.perf_counter(), time.process_time()
    done = gallery.enroll(paths[4:], keep_prints=True)
    seconds, used = time.perf_counter() - start, time.process_time() - cpu
    note = f"{len(done) / used:.1f} a second of processor time"
    line("enrolment", len(done) / seconds, "prints/s", note)
    return [row.template for few in gallery.store.rows() for row in few]


def fill(store: Store, known: list[Template], rows: int, maker: str) -> None:
    """Add rows whose index vectors have the statistics of those that are known."""
    rng = np.random.default_rng(0)
    vectors = np.stack([one.index.astype(np.float32) for one in known])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    mean, spread = vectors.mean(axis=0), (vectors - vectors.mean(axis=0)) / np.sqrt(len(vectors))
    shape, start = known[0].cells.shape, time.perf_counter()
    for first in range(0, rows, AT_ONCE):
        count = min(AT_ONCE, rows - first)
        # Of as many directions as were seen, and a little of every other.
        drawn = mean + rng.standard_normal((count, len(spread)), np.float32) @ spread
        drawn += 0.01 * rng.standard_normal(drawn.shape, np.float32)
        index = np.round(127 * drawn / np.abs(drawn).max(axis=1, keepdims=True)).astype(np.int8)
        cells = rng.integers(-45, 46, (count, *shape), np.int8)
        mask = known[0].mask
        store.add(
            [
                Row(
                    id=f"{first + n:024x}",
                    template=Template(cells[n], mask, index[n], (0.0, 0.0), 0.0, 1.0),
                    made_by=maker,
                    subject=f"person {(first + n) // 2}",
                    finger="right index",
                    name=f"{first + n}.png",
                )
                for n in range(count)
            ]
        )
    line("rows added, as they are enrolled", rows / (time.perf_counter() - start), "rows/s")


def memory() -> float:
    """Return the peak of this process's memory, MB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(row.split()[1]) for row in status.splitlines() if "VmHWM" in row) / 1024


def kept_ids(store: Store) -> list[str]:
    """Return the ids of the prints that are kept: those that came from files of a folder."""
    labels = store.labels().select(["id", "name"]).to_pylist()
    return [one["id"] for one in labels if "/" in one["name"]]


def searched(folder: Path, maker: str) -> None:
    """Open the gallery and time the stages that need no networks."""
    before, start = memory(), time.perf_counter()
    store = Store.open(str(folder / "gallery"))
    others = store.others(maker)
    held = snapshot(store)
    line(
        "opening", time.perf_counter() - start, "s", f"{len(held)} rows, {len(others)} other makers"
    )
    line("memory of the open gallery", memory() - before, "MB", "at its peak")
    probe = next(store.rows(kept_ids(store)[:1]))[0].template
    scores = index_scores(held, probe)
    line("first stage, all index vectors", 1000 * timed(lambda: index_scores(held, probe)), "ms")
    places = best(scores, MAPS)
    line("the best of them", 1000 * timed(lambda: best(scores, MAPS)), "ms")
    numbers = held.numbers[places]
    line(
        f"second stage, {MAPS} maps",
        1000 * timed(lambda: map_scores(stored_maps(store, numbers), probe)),
        "ms",
    )
    line("memory with a search", memory() - before, "MB", "at its peak")


def paired(folder: Path, matcher: Matcher) -> None:
    """Time pair mode of a shortlist, on the prints that are kept."""
    store = Store.open(str(folder / "gallery"))
    kept = [store.find(id)[0] for id in kept_ids(store)[: PAIRS + 1]]
    rescorer = Rescorer(store, matcher)
    (probe,) = rescorer.kept(kept[:1]).values()
    rescorer.results(probe, kept[1:])
    start = time.perf_counter()
    made = rescorer.results(probe, kept[1:])
    line(f"third stage, {len(made)} pairs", time.perf_counter() - start, "s")


def main() -> None:
    """Enrol, fill, search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", default="")
    parser.add_argument("--search-only", action="store_true", help="of a folder that is filled")
    parser.add_argument("--maker", default="")
    options = parser.parse_args()
    if options.search_only:
        searched(Path(options.folder), options.maker)
        return
    print(f"# {machine()}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        matcher = Matcher.from_checkpoints()
        known = enrol(folder, matcher)
        store = Store.open(str(folder / "gallery"))
        with store.writing():
            fill(store, known, options.rows, made_by(matcher))
            start = time.perf_counter()
            store.purge()
        line("compaction", time.perf_counter() - start, "s")
        files = [path for path in (folder / "gallery").rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        line("on the disk", size / len(snapshot(store)), "bytes/row", f"{size / 1e9:.2f} GB")
        command = [sys.executable, __file__, "--search-only", "--folder", str(folder)]
        command += ["--maker", made_by(matcher)]
        subprocess.run(command, check=True, env=dict(os.environ))
        paired(folder, matcher)


if __name__ == "__main__":
    main()
