"""Calls timed, as lines of one table: what the benchmarks share.

Each row is called once to compile it and then several times, of which the median counts. The
figures hold for the machine, its free cores and the sizes that are printed with them.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax

COLUMNS = "{:<46} {:<8} {:>10} {:>10} {:>17} {:>10}"


def measure(name: str, unit: str, count: int, repeats: int, call: Callable[[int], Any]) -> float:
    """Time ``call(i)``, which makes ``count`` units, for i = 0, 1, …, and print a table line.

    Returns the median in seconds. Each call is waited for. The time to compile is what the first
    one takes beyond the median.
    """
    seconds = []
    for index in range(repeats + 1):
        start = time.perf_counter()
        jax.block_until_ready(call(index))
        seconds.append(time.perf_counter() - start)
    first, *rest = seconds
    median = statistics.median(rest)
    each = [1000 * value / count for value in (median, min(rest), max(rest))]
    print(
        COLUMNS.format(
            *(name, unit, f"{count / median:.2f}", f"{each[0]:.1f}"),
            *(f"{each[1]:.1f} to {each[2]:.1f}", f"{max(0.0, first - median):.1f}"),
        ),
        flush=True,
    )
    return median


def machine() -> str:
    """Describe what the figures depend on."""
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed else os.cpu_count()
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    device = jax.devices()[0]
    return f"jax {jax.__version__} on {device.platform} ({device.device_kind}), {cores} cores{load}"


def print_head(repeats: int) -> None:
    """Print what the figures depend on, and the table's head."""
    print(f"{machine()}; median of {repeats} calls after the first")
    print(COLUMNS.format("what", "unit", "per second", "ms each", "ms, min to max", "compile s"))
