"""What a second worker of a cluster adds, and whether it finds the same.

Usage: ``python benchmarks/gallery.py --rows 1000000 --folder F``, then ``python
benchmarks/cluster.py F``. Of one gallery there are two clusters on this machine, of one worker and
of two, which are asked in turns; the answer of each is compared with that of one process. One of
the two workers is killed in the middle of a search, and what that costs is told.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import statistics
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import ray
from gallery import kept_ids, line
from timing import machine

from ifvit.features.features import Features
from ifvit.gallery.cluster import Cluster, ClusterStages
from ifvit.gallery.cluster_worker import Opening
from ifvit.gallery.made_by import made_by
from ifvit.gallery.rescore import PAIRS, Rescorer
from ifvit.gallery.row_store import Store
from ifvit.gallery.search import Found, shortlist, snapshot
from ifvit.matcher import Matcher


def seconds(call) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def same(found: list[Found], expected: list[Found]) -> str:
    """Say in how many places two shortlists name the same print."""
    agree = sum(a.number == b.number for a, b in zip(found, expected, strict=True))
    return f"{agree} of {len(expected)} candidates in the same place as in one process"


def main() -> None:
    """Start both, ask in turns, kill one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    options = parser.parse_args()
    print(f"# {machine()}", flush=True)
    path = str((Path(options.folder) / "gallery").resolve())
    store, matcher = Store.open(path), Matcher.from_checkpoints()
    held = snapshot(store)
    # Of all shortlists those of prints that are kept can be compared in pair mode.
    numbers = [store.find(id)[0] for id in kept_ids(store)[: options.pairs + 1]]
    (probe,) = Rescorer(store, matcher).kept(numbers[:1]).values()
    template = matcher.coder.template(probe)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    quiet = {"include_dashboard": False, "logging_level": logging.ERROR, "log_to_driver": False}
    warnings.filterwarnings("ignore", "lance.* fork")
    ray.init("local", num_cpus=3, **quiet)
    opening = Opening(path, None, Matcher.from_checkpoints, made_by(matcher))
    stages = {}
    for count in (1, 2):
        start = time.perf_counter()
        cluster = Cluster("local", opening, count)
        line(f"{count} workers come up", time.perf_counter() - start, "s")
        stages[count] = cluster.stages(held.version, len(held))
        line(f"{count} workers read {len(held)} rows", seconds(stages[count].hold), "s")
    expected = shortlist(store, held, template)
    for count, one in stages.items():
        one.results(probe, numbers[1:])  # networks are loaded
        print(f"{count} workers: {same(one.shortlist(template), expected)}", flush=True)
    searches = {count: partial(one.shortlist, template) for count, one in stages.items()}
    in_turns("index vectors and maps", searches, options.repeats)
    pairs = {count: partial(one.results, probe, numbers[1:]) for count, one in stages.items()}
    in_turns(f"{options.pairs} pairs", pairs, options.repeats)
    killed(stages[2], probe, numbers[1:])


def in_turns(name: str, calls: dict[int, Callable[[], object]], repeats: int) -> None:
    """Time what one worker and two do, in turns."""
    spent: dict[int, list[float]] = {count: [] for count in calls}
    for _ in range(repeats):
        for count, call in calls.items():
            spent[count].append(seconds(call))
    medians = {count: statistics.median(each) for count, each in spent.items()}
    load = f"load average {os.getloadavg()[0]:.0f}"
    for count, value in medians.items():
        note = f"{medians[1] / value:.2f} times as fast as one; {load}"
        line(f"{name}, {count} workers", value, "s", note)


def killed(stages: ClusterStages, probe: Features, numbers: list[int]) -> None:
    """Kill a worker in the middle of the pairs, and compare what comes of it."""
    expected = stages.results(probe, numbers)
    pid = stages.cluster.processes()[0]
    threading.Timer(1.0, os.kill, (pid, signal.SIGKILL)).start()
    start = time.perf_counter()
    made = stages.results(probe, numbers)
    spent = time.perf_counter() - start
    scores = [{n: one.score for n, one in results.items()} for results in (made, expected)]
    note = f"same scores: {scores[0] == scores[1]}"
    line("the same with a worker killed after 1 s", spent, "s", note)
    line("and its part read again", seconds(stages.hold), "s")


if __name__ == "__main__":
    main()
