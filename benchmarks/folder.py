"""How long a folder of many prints takes to start with, and how much memory.

Usage: ``python benchmarks/folder.py --prints 20000``. It makes a tree of small prints (a folder per
finger, 10 impressions each), and starts on it without a cache, with an empty and a filled one. Each
start is a process of its own; memory is what it holds beyond what it had with everything imported.
Then batches are taken at random, as training does. All of it is removed again.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from timing import machine

from ifvit.data.readers import read_dataset, split_fingers
from ifvit.data.store import Canvases, read_canvases

IMPRESSIONS = 10
BATCHES, PAIRS = 50, 128


def make_tree(root: Path, prints: int, side: int) -> None:
    """Write prints of ridges with a little noise, so that they compress as real ones do."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    for number in range(prints):
        angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / 9 + phase)
        grey = 128 + 90 * wave + rng.normal(0, 12, (side, side))
        path = root / f"finger{number // IMPRESSIONS:05d}" / f"{number % IMPRESSIONS}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(path, compress_level=1)


def memory() -> tuple[float, float]:
    """Return the memory that this process holds for itself, and the most that it ever held, MB."""
    fields = dict(
        line.split(":")
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    )
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(fields["RssAnon"].split()[0]) / 1024, most


def start(root: Path, side: int) -> None:
    """Time what training does with a folder before its first step, and the reading of batches."""
    before, _ = memory()
    times, cpu = [time.perf_counter()], [time.process_time()]
    prints = read_dataset(root)
    times.append(time.perf_counter())
    read = read_canvases(prints, side)
    cpu.append(time.process_time())
    times.append(time.perf_counter())
    train, _ = split_fingers(read.prints, 32, 0)
    some: Canvases = read.of(train)
    some.labels()
    times.append(time.perf_counter())
    held, most = memory()
    names = ("listed", "read", "split")
    took = [f"{name} {b - a:.1f} s" for name, a, b in zip(names, times, times[1:], strict=False)]
    print(
        f"{len(read)} prints: {', '.join(took)} ({cpu[1] - cpu[0]:.1f} s of CPU time); "
        f"memory +{held - before:.0f} MB, with mapped pages at most {most:.0f} MB",
        flush=True,
    )
    rng = np.random.default_rng(0)
    begun = time.perf_counter()
    for _ in range(BATCHES):
        some.take(rng.integers(len(some), size=2 * PAIRS))
    print(f"{1000 * (time.perf_counter() - begun) / BATCHES:.1f} ms for a batch of {PAIRS} pairs")


def main() -> None:
    """Make the tree, and start on it three times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prints", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=128, help="of the files, pixels")
    parser.add_argument("--canvas", type=int, default=384, help="side to read onto: 384 for paper")
    parser.add_argument("--tree", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.tree:
        start(args.tree, args.canvas)
        return
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "prints")
        begun = time.perf_counter()
        make_tree(root, args.prints, args.side)
        print(f"tree of {args.prints} files made in {time.perf_counter() - begun:.0f} s")
        own = [sys.executable, __file__, "--tree", str(root), "--canvas", str(args.canvas)]
        for cache, what in [("off", "no cache"), (folder, "empty cache"), (folder, "filled cache")]:
            print(f"{what}: ", end="", flush=True)
            place = {"IFVIT_CACHE": cache, "IFVIT_CACHE_GB": "100"}
            subprocess.run(own, check=True, env={**os.environ, **place})


if __name__ == "__main__":
    main()
