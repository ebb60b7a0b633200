"""What a service stands: clients that all ask at once, beside the same calls without a service.

Usage: ``python benchmarks/service_load.py --clients 20 --seconds 120``. Each client (locust) posts
pairs of the example prints to ``/api/match`` over loopback, one after the other, and after a 503
waits as it was told. The same work by as many threads in one process, without HTTP, is measured
before and after. Memory is the resident memory of the service, sampled every second; its first
quarter of the time is left out, in which buffers grow to their sizes. Clients share the cores with
the service: on few cores the share of the throughput is a lower bound.

``python benchmarks/service_load.py --starts 5 --gallery DIR`` measures instead how long a service
takes from its start to its first answer, a match, with and without a gallery, by turns.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from ifvit.data.examples import example_prints
from ifvit.service.limits import Limits, cores


def pair(number: int) -> tuple[Path, Path]:
    """Return two prints: of one finger, or of two, by turns."""
    first, second, third, fourth = example_prints()
    return ((first, second), (first, third), (third, fourth), (second, fourth))[number % 4]


def alone(threads: int, seconds: float) -> float:
    """Return matches a second of one process with so many threads, read and written as JSON."""
    from ifvit.matcher import Matcher
    from ifvit.service.pair_work import matched
    from ifvit.service.routing import encoded
    from ifvit.service.uploads import Given, GivenPrint

    matcher, limits, numbers = Matcher.from_checkpoints(), Limits(), count()
    files = {path: path.read_bytes() for path in example_prints()}

    def work(until: float) -> int:
        done = 0
        while time.perf_counter() < until:
            probe, candidate = (
                [GivenPrint(files[path], 500.0, path.name)] for path in pair(next(numbers))
            )
            prints = {"probe": probe, "candidate": candidate}
            encoded(matched(matcher, Given(prints, {"evidence": False}), limits))
            done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [0.1 + time.perf_counter()] * threads))  # buffers grow first
        start = time.perf_counter()
        done = sum(pool.map(work, [start + seconds] * threads))
        return done / (time.perf_counter() - start)


def measured_alone(threads: int, seconds: float) -> float:
    """Return the same, of a process of its own."""
    command = [sys.executable, __file__, "--alone", "--threads", str(threads)]
    command += ["--seconds", str(seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@contextmanager
def service(threads: int, *options: str) -> Iterator[tuple[str, int, float]]:
    """Run `ifvit serve`; yields its URL, its process, and the seconds from start to an answer."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "ifvit.cli", "serve", "--port", "0"]
    command += ["--threads", str(threads), *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://[\d.:]+", process.stdout.readline())
            assert found is not None
            post(found[0])
            yield found[0], process.pid, time.perf_counter() - start
        finally:
            process.terminate()


def post(url: str) -> None:
    """Match two prints once."""
    import base64

    probe, candidate = ({"image": base64.b64encode(path.read_bytes()).decode()} for path in pair(0))
    body = json.dumps({"probe": probe, "candidate": candidate}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{url}/api/match", body, headers)
    ) as answer:
        assert "score" in json.load(answer)["candidates"][0]


def resident_mb(process: int) -> float:
    """Return a process's resident memory."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def processor_s(process: int) -> float:
    """Return the seconds of processors that a process has taken."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def starts(count: int, threads: int, gallery: str) -> None:
    """Print how long starts take, by the clock and of processors, with and without a gallery."""
    found: dict[str, list[tuple[float, float]]] = {}
    kinds: dict[str, list[str]] = {"without a gallery": []}
    if gallery:
        kinds["with the gallery"] = ["--gallery", gallery]
    for _ in range(count):
        for what, options in kinds.items():
            with service(threads, *options) as (_, process, first):
                found.setdefault(what, []).append((first, processor_s(process)))
    for what, times in found.items():
        wall, cpu = zip(*times, strict=True)
        print(
            f"start to first answer {what}: {min(wall):.2f} to {max(wall):.2f} s, median "
            f"{statistics.median(wall):.2f} s, of processors {statistics.median(cpu):.2f} s"
        )


def load(url: str, process: int, clients: int, seconds: float) -> tuple[dict, list[float]]:
    """Let clients ask for so long; return what became of the requests, and memory by the second."""
    import gevent
    from locust import FastHttpUser, constant, task
    from locust.env import Environment

    numbers, busy = count(), [0]

    class Client(FastHttpUser):
        host = url
        wait_time = constant(0)

        @task
        def match(self) -> None:
            probe, candidate = pair(next(numbers))
            files = {"probe": probe.open("rb"), "candidate": candidate.open("rb")}
            with self.client.post("/api/match", files=files, catch_response=True) as answer:
                if answer.status_code == 503:
                    busy[0] += 1
                    answer.success()
                    gevent.sleep(float(answer.headers["Retry-After"]))

    environment = Environment(user_classes=[Client])
    runner = environment.create_local_runner()
    runner.start(clients, spawn_rate=clients)
    memory, start = [], time.perf_counter()
    while time.perf_counter() - start < seconds:
        gevent.sleep(1)
        memory.append(resident_mb(process))
    total = environment.stats.total
    found = {
        "per second": (total.num_requests - busy[0]) / (time.perf_counter() - start),
        "p50": total.get_response_time_percentile(0.5) / 1000,
        "p95": total.get_response_time_percentile(0.95) / 1000,
        "failures": total.num_failures,
        "busy": busy[0],
        "answers": total.num_requests - busy[0],
    }
    runner.quit()
    return found, memory


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--alone", action="store_true", help="only the calls without a service")
    parser.add_argument("--starts", type=int, default=0, help="only this many starts of each kind")
    parser.add_argument("--gallery", default="", help="a gallery to start with, for --starts")
    args = parser.parse_args()
    if args.alone:
        print(alone(args.threads, args.seconds))
        return
    print(f"{cores()} cores, {args.threads} threads, load average {os.getloadavg()[0]:.1f}")
    if args.starts:
        starts(args.starts, args.threads, args.gallery)
        return
    before = measured_alone(args.threads, args.seconds / 2)
    with service(args.threads) as (url, process, first):
        print(f"start to first answer: {first:.2f} s")
        found, memory = load(url, process, args.clients, args.seconds)
    after = measured_alone(args.threads, args.seconds / 2)
    print(f"without a service: {before:.2f} and {after:.2f} matches a second")
    share = found["per second"] / statistics.mean((before, after))
    print(
        f"{args.clients} clients, {args.seconds:g} s: {found['per second']:.2f} matches a second, "
        f"{100 * share:.0f} % of that; median {found['p50']:.2f} s, p95 {found['p95']:.2f} s"
    )
    print(f"{found['answers']} answers, {found['failures']} failures, {found['busy']} times 503")
    quarter = max(1, len(memory) // 4)
    early, late = statistics.mean(memory[quarter : 2 * quarter]), statistics.mean(memory[-quarter:])
    print(f"memory: {early:.0f} MB, at the end {late:.0f} MB ({100 * (late / early - 1):+.1f} %)")
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
