"""A gallery on more than one machine: Ray starts the workers, divides the work, and restarts
workers that die.

The rows of a gallery are divided evenly among the workers, which hold index vectors and dense maps
in memory. A probe is sent to all, their best prints are joined, and the pairs of the shortlist go
to whichever worker is free: the candidates are the same as in one process. Workers read the gallery
by themselves, so that its folder must be one that all machines have, or an object store.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ifvit.comparison.result import MatchResult
from ifvit.data.store import cores
from ifvit.features.coder import Template
from ifvit.features.features import Features
from ifvit.gallery.cluster_worker import Opening, Part, Worker
from ifvit.gallery.engine import is_remote
from ifvit.gallery.enrolment import Entry, image_file
from ifvit.gallery.made_by import made_by
from ifvit.gallery.reading import Read, Unread
from ifvit.gallery.search import MAPS, Found, best, by_maps
from ifvit.matcher import Matcher
from ifvit.texts import shortened

LOCAL = "local"
"""The address of a cluster of this machine alone, started here for as long as it is used."""

START_S = 120
"""Seconds in which workers have to come up."""

RETRIES = 3
"""Times that a call is repeated when its worker dies; then a call that kills every worker fails."""

QUICK = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_gcs_server_port_wait_time_s": "1",
    "RAY_py_gcs_connect_timeout_s": "5",
}
"""Environment of Ray: it sends no usage data, and reports within seconds that an address does not
answer."""


class Cluster:
    """Workers of one gallery on a cluster of Ray."""

    def __init__(self, address: str, opening: Opening, workers: int | None = None) -> None:
        """Connect, and start ``workers`` workers, one for each core of the cluster if not given.

        ``address`` is ``local``, ``HOST:PORT`` of a cluster's head, or ``auto`` for the one that
        this machine belongs to. Raises ValueError where it cannot be reached, where workers do not
        come up, and where Ray is not installed.
        """
        ray = _connected(address, workers)
        self.address = address
        with self._errors():
            count = workers or int(ray.cluster_resources().get("CPU", 1))
            made = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=RETRIES)(Worker)
            self.workers = [made.remote(opening) for _ in range(count)]
            waiting = [one.process.remote() for one in self.workers]
            up, _ = ray.wait(waiting, num_returns=count, timeout=START_S)
        if len(up) < count:
            raise ValueError(
                f"--cluster {address}: {len(up)} of {count} workers came up in {START_S} s: "
                "expected a free core for each; see `ray status`"
            )

    def stages(self, version: int, count: int) -> ClusterStages:
        """Return the stages of a search in a version of the gallery with ``count`` prints."""
        return ClusterStages(self, version, count)

    def processes(self) -> list[int]:
        """Return the ids of the workers' processes."""
        return self.all([one.process.remote() for one in self.workers])

    def read(self, entries: Sequence[Entry]) -> list[Read | Unread]:
        """Read and embed prints that are to be enrolled, in their order; files are read here."""
        sent = [_sent(entry) for entry in entries]
        whole = [entry for entry in sent if isinstance(entry, Entry)]
        made = iter(self.shared(lambda worker, entry: worker.read.remote(entry), whole))
        return [one if isinstance(one, Unread) else next(made) for one in sent]

    def all(self, calls: Sequence[Any]) -> list[Any]:
        """Return the results of calls, once all have ended."""
        import ray

        with self._errors():
            return list(ray.get(list(calls)))

    def shared(self, call: Callable[[Any, Any], Any], values: Sequence[Any]) -> list[Any]:
        """Return the results of ``call`` for all values, in their order, by whichever workers are
        free."""
        from ray.util import ActorPool

        with self._errors():
            return list(ActorPool(self.workers).map(call, list(values)))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn errors of Ray into one line; an error that a worker raised is raised unchanged."""
        from ray.exceptions import RayError, RayTaskError

        try:
            yield
        except RayTaskError as error:
            if isinstance(error.cause, ValueError | OSError):
                raise error.cause from error
            raise
        except RayError as error:
            text = shortened(" ".join(str(error).split()), 200)
            raise ValueError(
                f"--cluster {self.address}: its workers fail ({type(error).__name__}: {text})"
            ) from error


def started(
    address: str,
    uri: str,
    key: bytes | None,
    load: Matcher | Callable[[], Matcher] | None,
    matcher: Matcher,
) -> Cluster:
    """Return the workers of a gallery, each with a matcher like this one.

    ``load`` makes a matcher, with the weights that ship if not given. Raises ValueError as
    :class:`Cluster`.
    """
    if isinstance(load, Matcher):
        raise ValueError(
            "each worker of a cluster loads its own Matcher: give a function that loads one, not a "
            "Matcher"
        )
    path = uri if is_remote(uri) else os.path.abspath(uri)
    return Cluster(address, Opening(path, key, load or Matcher.from_checkpoints, made_by(matcher)))


class ClusterStages:
    """The stages of a search, on the workers of a cluster."""

    def __init__(self, cluster: Cluster, version: int, count: int) -> None:
        """Divide the rows of a version evenly among the workers."""
        self.cluster, self._version, self._count = cluster, version, count
        ends = np.linspace(0, count, len(cluster.workers) + 1).astype(int).tolist()
        parts = (Part(version, a, b - a) for a, b in pairwise(ends))
        self._held = [(w, p) for w, p in zip(cluster.workers, parts, strict=True) if p.rows]

    def __len__(self) -> int:
        """Return the number of prints."""
        return self._count

    def hold(self) -> None:
        """Have all workers read their parts."""
        self.cluster.all([worker.hold.remote(part) for worker, part in self._held])

    def shortlist(self, template: Template) -> list[Found]:
        """Return the prints that are most alike by index vectors, then by dense maps."""
        if not self._held:
            return []
        made = self.cluster.all([w.by_index.remote(part, template) for w, part in self._held])
        numbers, scores = (np.concatenate(parts) for parts in zip(*made, strict=True))
        owner = np.repeat(np.arange(len(made)), [len(part) for part, _ in made])
        chosen = best(scores, MAPS)
        asked = [numbers[chosen[owner[chosen] == one]] for one in range(len(made))]
        calls = [
            worker.by_map.remote(part, few, template)
            for (worker, part), few in zip(self._held, asked, strict=True)
        ]
        alike = np.empty(len(chosen), np.float32)
        for one, part in enumerate(self.cluster.all(calls)):
            alike[owner[chosen] == one] = part
        return by_maps(numbers[chosen], scores[chosen], alike)

    def results(self, probe: Features, numbers: Sequence[int]) -> dict[int, MatchResult]:
        """Match a probe, as print 0, with some prints in pair mode; leave out those not kept."""
        import ray

        sent = ray.put(probe)
        made = self.cluster.shared(
            lambda worker, number: worker.pair.remote(self._version, number, sent), numbers
        )
        return {n: one for n, one in zip(numbers, made, strict=True) if one is not None}


@contextmanager
def forks_of_ray() -> Iterator[None]:
    """Ignore warnings of forks while Ray starts its own programs, which use no thread of this
    process.

    The gallery's engine, JAX and Python itself each warn of any fork.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*\bfork")
        yield


def _connected(address: str, workers: int | None) -> Any:
    """Return Ray, connected; raises ValueError where that cannot be."""
    for name, value in QUICK.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise ValueError(
            f"a cluster is run by Ray, which cannot be imported ({error}): "
            "pip install 'ifvit[cluster]'"
        ) from error
    if ray.is_initialized():
        return ray
    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "configure_logging": False}
    try:
        with forks_of_ray():
            if address == LOCAL:
                # "local" starts a cluster even where the environment names another.
                quiet |= {"num_cpus": workers or cores(), "include_dashboard": False}
            ray.init(address, **quiet)
    except (Exception, SystemExit) as error:  # it ends the process where nobody answers
        why = shortened(" ".join(str(error).split()), 200) or type(error).__name__
        raise ValueError(
            f"--cluster {address} cannot be reached ({why}): expected {LOCAL}, auto, or HOST:PORT "
            "of a cluster that `ray start --head` has started"
        ) from error
    return ray


def _sent(entry: Entry) -> Entry | Unread:
    """Return an entry that can be sent: a file is replaced by its bytes, since other machines may
    lack it."""
    if not isinstance(entry.source, str | Path):
        return entry
    try:
        return replace(entry, source=image_file(entry.source))
    except OSError as error:
        return Unread(entry, str(error))
