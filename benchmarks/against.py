"""What a match costs beside an earlier commit, both in turn: ratios that hold on a busy machine.

Usage: ``python benchmarks/against.py CHECKOUT --python CHECKOUT/.venv/bin/python``. CHECKOUT is the
earlier commit's tree, commit 105cec2 or a later one, and its interpreter has what it needs
installed. Each side is a process that stays and answers one call at a time; whole processes are
started besides. Prints are the synthetic ones of the package, or files at 500 ppi: the first is the
probe, all others its candidates, of which the next is another print of its finger and the last one
of another finger. Times are of the wall and of the processor, all threads together; the ratio is
the median of those of calls in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

ROW = "{:<46} {:>16} {:>16} {:>15} {:>15}"
WHOLE = ("ifvit match A B", "ifvit match A B, nothing compiled")
"""Rows that are processes of their own."""


class Cost(NamedTuple):
    """Seconds of a call, of the wall and of the processor."""

    wall: float
    processor: float


def calls_of(paths: list[str]) -> dict[str, tuple[Callable[[int], Any], int]]:
    """Return the rows' calls, by the ``ifvit`` that this process imports, and what each makes."""
    try:
        from ifvit.matcher import Matcher
    except ModuleNotFoundError:
        return _earlier_calls(paths)
    matcher, (probe, *others) = Matcher.from_pretrained(), paths
    many = several(paths)
    features, same, other = (matcher.extract(one) for one in (probe, others[0], others[-1]))
    return {
        "a pair, from two files": (lambda i: matcher.match(probe, others[i % len(others)]), 1),
        "one more candidate, from its file": (
            lambda i: matcher.match(features, matcher.extract(others[i % len(others)])),
            1,
        ),
        "a pair of one finger, both prepared": (lambda i: matcher.match(features, same), 1),
        "a pair of two fingers, both prepared": (lambda i: matcher.match(features, other), 1),
        "a template, from its file": (lambda i: matcher.embed(many), len(many)),
    }


def several(paths: list[str]) -> list[str]:
    """Return eight prints: the earlier package makes templates of eight at a time, or of fewer at
    the same cost."""
    return [paths[i % len(paths)] for i in range(8)]


def _earlier_calls(paths: list[str]) -> dict[str, tuple[Callable[[int], Any], int]]:
    """Return the same calls of a package as it was before one print's work was a room."""
    from ifvit.pipeline.matcher import Matcher  # type: ignore[import-not-found]
    from ifvit.pipeline.template import embed_files  # type: ignore[import-not-found]

    matcher, (probe, *others) = Matcher.from_pretrained(), paths
    load, prepare, match = matcher.registrar.load, matcher.registrar.prepare, matcher.match_images
    many = several(paths)
    canvas, same, other = (prepare(load(one)) for one in (probe, others[0], others[-1]))
    return {
        "a pair, from two files": (
            lambda i: match(load(probe), load(others[i % len(others)])),
            1,
        ),
        "one more candidate, from its file": (
            lambda i: match(canvas, load(others[i % len(others)])),
            1,
        ),
        "a pair of one finger, both prepared": (lambda i: match(canvas, same), 1),
        "a pair of two fingers, both prepared": (lambda i: match(canvas, other), 1),
        "a template, from its file": (lambda i: embed_files(matcher, many), len(many)),
    }


def serve(paths: list[str]) -> None:
    """Answer each line of standard input, a row's name and a number, with what the call took."""
    answers, sys.stdout = sys.stdout, sys.stderr
    rows = calls_of(paths)
    print(json.dumps(list(rows)), file=answers, flush=True)
    for line in sys.stdin:
        name, index = json.loads(line)
        call, count = rows[name]
        start = time.perf_counter(), time.process_time()
        call(index)
        end = time.perf_counter(), time.process_time()
        taken = [(last - first) / count for first, last in zip(start, end, strict=True)]
        print(json.dumps(taken), file=answers, flush=True)


class Side:
    """One of the two packages, at work in a process of its own."""

    def __init__(self, checkout: Path, python: str, paths: list[str], cache: Path) -> None:
        """``cache`` is a folder for what it compiles."""
        self.python, self.paths = python, paths
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(checkout),
            "IFVIT_CACHE": str(cache / "ifvit"),
            "JAX_COMPILATION_CACHE_DIR": str(cache / "jax"),
        }
        self.process = subprocess.Popen(
            [python, __file__, "--serve", *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
            text=True,
        )
        self.rows: list[str] = json.loads(self._answer())

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.python} ended: its error stands above")
        return line

    def cost(self, row: str, index: int) -> Cost:
        """Return what one call takes."""
        if row in WHOLE:
            return self._whole(kept=row == WHOLE[0])
        assert self.process.stdin is not None
        print(json.dumps([row, index]), file=self.process.stdin, flush=True)
        return Cost(*json.loads(self._answer()))

    def _whole(self, kept: bool) -> Cost:
        command = [self.python, "-m", "ifvit.cli", "match", *self.paths[:2]]
        with TemporaryDirectory() as empty:
            own = {} if kept else {"IFVIT_CACHE": empty, "JAX_COMPILATION_CACHE_DIR": empty}
            start = time.perf_counter()
            process = subprocess.Popen(
                command, env=self.environment | own, stdout=subprocess.DEVNULL, cwd=empty
            )
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - start
        if status:
            raise SystemExit(f"{' '.join(command)} ended with status {status}")
        return Cost(wall, usage.ru_utime + usage.ru_stime)


def in_turn(row: str, sides: list[Side], repeats: int) -> None:
    """Print a row: the median of each side, and the median ratio of calls in turn."""
    first = 0 if row in WHOLE else 2
    found = [[side.cost(row, index) for side in sides] for index in range(first + repeats)][first:]
    shown = []
    for part in (0, 1):
        old, new = ([one[side][part] for one in found] for side in (0, 1))
        ratios = [after / before for before, after in zip(old, new, strict=True)]
        medians = 1000 * statistics.median(old), 1000 * statistics.median(new)
        shown.append((medians, (statistics.median(ratios), min(ratios), max(ratios))))
    (wall, ratio), (processor, own) = shown
    times = (f"{wall[side]:.0f} ({processor[side]:.0f})" for side in (0, 1))
    ratios = (f"{one:.2f} ({low:.2f}-{high:.2f})" for one, low, high in (ratio, own))
    print(ROW.format(row, *times, *ratios), flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, nargs="?")
    parser.add_argument("prints", nargs="*", help="files at 500 ppi, three or more")
    parser.add_argument("--python", default=sys.executable, help="the checkout's interpreter")
    parser.add_argument("--repeats", type=int, default=9, help="calls of each row, in turn")
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        return serve(args.serve)
    from ifvit.data.examples import example_prints

    paths = [str(Path(one).resolve()) for one in args.prints or example_prints()]
    here = Path(__file__).resolve().parents[1]
    with TemporaryDirectory() as name:
        caches = Path(name) / "earlier", Path(name) / "this"
        sides = [
            Side(args.checkout.resolve(), args.python, paths, caches[0]),
            Side(here, sys.executable, paths, caches[1]),
        ]
        load = os.getloadavg()[0]
        print(f"{len(os.sched_getaffinity(0))} cores, load average {load:.1f} at the start")
        print(f"{args.repeats} calls each, in turn, after two; ms of the wall (of processors)")
        print(ROW.format("what", args.checkout.name, "this", "ratio, wall", "processors"))
        for row in sides[0].rows:
            in_turn(row, sides, args.repeats)
        in_turn(WHOLE[0], sides, max(1, args.repeats // 2))
        in_turn(WHOLE[1], sides, 1)
        print(f"load average {os.getloadavg()[0]:.1f} at the end")
        for side in sides:
            side.process.communicate()


if __name__ == "__main__":
    main()
