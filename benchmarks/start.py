"""What a whole process costs: time from start to end, and the most memory it held.

Usage: ``python benchmarks/start.py --repeats 5``. Each row is a command of its own, run as a shell
runs it: imports, loading, work, output. ``import ifvit`` is there to be taken off. Peaks are of the
process itself, in megabytes of resident memory; times are the smallest and the median of some runs,
in seconds of the wall and of the processor.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from ifvit.data.examples import example_prints

ROW = "{:<44} {:>9} {:>9} {:>11} {:>9}"
MANY = 250
"""Times that four prints are listed in the row of a thousand templates."""


def run(command: list[str], folder: Path) -> tuple[float, float, float]:
    """Run a command; return seconds of the wall, of the processor, and its peak in megabytes."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(command)[:200]} ended with status {status}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def rows(folder: Path) -> dict[str, list[str]]:
    """Return the commands by what they show."""
    python, ifvit = sys.executable, [sys.executable, "-m", "ifvit.cli"]
    first, second, *_ = prints = [str(path) for path in example_prints()]
    many = []
    for number in range(MANY):
        for path in prints:
            link = folder / f"{number}_{Path(path).name}"
            link.symlink_to(path)
            many.append(link.name)
    return {
        "import ifvit": [python, "-c", "import ifvit"],
        "ifvit --help": [*ifvit, "--help"],
        "ifvit match A B": [*ifvit, "match", first, second],
        "ifvit match A B --out match.png": [*ifvit, "match", first, second, "--out", "match.png"],
        "ifvit embed, 4 prints": [*ifvit, "embed", *prints, "--out", "four.npz"],
        "ifvit embed, 1000 prints": [*ifvit, "embed", *many, "--out", "many.npz"],
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="runs of each row but the last")
    args = parser.parse_args()
    # Of a child the kernel counts what its parent held too: nothing large is loaded here.
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    print(ROW.format("command", "least s", "median s", "processor s", "peak MB"))
    with TemporaryDirectory() as name:
        for what, command in rows(Path(name)).items():
            count = 1 if "1000" in what else max(1, args.repeats)
            found = [run(command, Path(name)) for _ in range(count)]
            wall, cpu, peak = zip(*found, strict=True)
            times = min(wall), statistics.median(wall), min(cpu)
            print(ROW.format(what, *(f"{one:.2f}" for one in times), f"{max(peak):.0f}"))


if __name__ == "__main__":
    main()
