"""A gallery on a cluster finds what it finds in one process, also when its workers die."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fake_matcher import FakeMatcher, print_bytes, template_of, write_prints

from ifvit.gallery.cluster import Cluster, ClusterStages, forks_of_ray
from ifvit.gallery.cluster_worker import Opening, Part, Worker
from ifvit.gallery.enrolment import Entry
from ifvit.gallery.gallery import Gallery
from ifvit.gallery.made_by import made_by
from ifvit.gallery.search import shortlist

KEY = bytes(range(32))
FINGERS = 41


class SlowMatcher(FakeMatcher):
    """Takes a while for a pair, so that a worker can be killed in the middle of one."""

    def match_pairs(self, pairs, at_once=None):
        time.sleep(0.1 * len(pairs))
        return super().match_pairs(pairs, at_once)


def filled(folder, key: bytes | None = None) -> Gallery:
    gallery = Gallery(folder, FakeMatcher(), key=key, create=True)
    entries = [Entry(print_bytes(n, 1), f"person {n}", "thumb") for n in range(1, FINGERS + 1)]
    gallery.enroll(entries, keep_prints=True)
    return gallery


@pytest.fixture(scope="module")
def embedded(tmp_path_factory) -> Gallery:
    return filled(tmp_path_factory.mktemp("cluster") / "people")


@pytest.fixture(scope="session")
def engine():
    """Ray on two cores of this machine, for all tests of the session."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Workers load this file by its name.
        paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        few = 80 * 2**20
        options = {"object_store_memory": few, "include_dashboard": False, "log_to_driver": False}
        with forks_of_ray():
            ray.init("local", num_cpus=2, logging_level="ERROR", **options)
        yield ray
        ray.shutdown()


def told(answer) -> list[tuple]:
    """Return what a search says of each candidate; sums may round otherwise in the last place."""
    whose = [(one.id, one.subject, one.score) for one in answer.candidates]
    return [*whose, [one.id for one in answer.found], answer.size]


def scores(answer) -> np.ndarray:
    return np.array([(one.map_score, one.index_score) for one in answer.candidates])


class Answered:
    """A worker of this process, whose calls are answered at once."""

    def __init__(self, worker: Worker) -> None:
        for name in ("hold", "by_index", "by_map"):
            setattr(self, name, SimpleNamespace(remote=getattr(worker, name)))


class OfThisProcess(Cluster):
    """A cluster without Ray."""

    def __init__(self, opening: Opening, workers: int) -> None:
        self.workers = [Answered(Worker(opening)) for _ in range(workers)]

    def all(self, calls):
        return list(calls)


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
def test_parts_together_are_the_whole(tmp_path, key) -> None:
    gallery = filled(tmp_path / "people", key)
    gallery.remove(["person 5", "person 40"])
    opening = Opening(gallery.path, key, FakeMatcher, made_by(gallery.matcher))
    for parts in (1, 2, 3, 50):
        cluster = OfThisProcess(opening, parts)
        stages = ClusterStages(cluster, gallery.store.refresh(), len(gallery))
        for finger in (1, 17, 99):
            template = template_of(finger, 2)
            expected = shortlist(gallery.store, gallery.snapshot(), template)
            made = stages.shortlist(template)
            assert [one.number for one in made] == [one.number for one in expected]
            for name in ("index_score", "map_score"):
                values = [[getattr(one, name) for one in some] for some in (made, expected)]
                np.testing.assert_allclose(*values, atol=1e-6)


def test_a_worker_of_other_weights_says_so(embedded) -> None:
    worker = Worker(Opening(embedded.path, None, lambda: FakeMatcher(seed=3), "0" * 64))
    with pytest.raises(ValueError, match="install one version of ifvit on all machines"):
        worker.read(Entry(print_bytes(1), name="a"))
    worker.hold(Part(embedded.store.refresh(), 3, 5))
    with pytest.raises(ValueError, match="reading version 9999"):
        worker.hold(Part(9999, 0, 5))


@pytest.fixture(scope="module")
def clustered(embedded, engine) -> Gallery:
    """The same gallery, searched by two workers."""
    return Gallery(embedded.path, SlowMatcher, cluster="local")


@pytest.mark.slow
def test_two_workers_find_the_same(embedded, clustered) -> None:
    assert len(set(clustered.cluster.processes())) == 2
    for finger in (3, 30, 99):
        probe = print_bytes(finger, 2)
        expected, found = (one.search(probe) for one in (embedded, clustered))
        assert told(found) == told(expected)
        np.testing.assert_allclose(scores(found), scores(expected), atol=1e-6)
        assert found.candidates[0].result.num_matches == 3


@pytest.mark.slow
def test_what_workers_read_is_enrolled(tmp_path, embedded, clustered) -> None:
    write_prints(tmp_path / "set", 3)
    (tmp_path / "set" / "4_1.png").write_bytes(b"no print")
    paths = [*sorted((tmp_path / "set").iterdir()), tmp_path / "none.png"]
    made = clustered.cluster.read([Entry(path, name=path.name) for path in paths])
    assert [type(one).__name__ for one in made] == ["Read"] * 6 + ["Unread"] * 2
    assert "4_1.png" in made[6].reason and "No such file" in made[7].reason
    assert clustered.enroll([print_bytes(77, 1)], "new", keep_prints=True)[0].state == "enrolled"
    for gallery in (clustered, embedded):
        assert gallery.search(print_bytes(77, 5)).found[0].subject == "new"
    clustered.remove(["new"])
    assert clustered.search(print_bytes(77, 5)).found == []


@pytest.mark.slow
def test_what_a_worker_refuses_is_told_as_it_is(embedded, clustered) -> None:
    with pytest.raises(ValueError, match="version 9999"):
        clustered.cluster.stages(9999, 40).hold()
    given = Gallery(embedded.path, FakeMatcher(), cluster="local")
    with pytest.raises(ValueError, match="give a function that loads one"):
        given.search(print_bytes(3, 2))


@pytest.mark.slow
def test_a_worker_killed_in_mid_search_is_replaced(embedded, clustered) -> None:
    for turn in range(3):
        before = clustered.cluster.processes()
        clustered.stages().hold()
        killed = turn % 2
        killer = threading.Timer(0.3 * turn + 0.1, os.kill, (before[killed], signal.SIGKILL))
        killer.start()
        found = clustered.search(print_bytes(30, 2), thorough=True)  # a second and more of pairs
        killer.join()
        assert told(found) == told(embedded.search(print_bytes(30, 2), thorough=True))
        after = clustered.cluster.processes()
        assert after[killed] != before[killed] and after[1 - killed] == before[1 - killed]
    expected = embedded.search(print_bytes(99, 2))
    assert told(clustered.search(print_bytes(99, 2))) == told(expected)


@pytest.mark.slow
def test_nobody_at_an_address_is_a_line(embedded, tmp_path) -> None:
    """In a process of its own: Ray may end the one that asks."""
    pytest.importorskip("ray")
    import subprocess
    import sys

    (tmp_path / "probe.png").write_bytes(print_bytes(3, 2))
    command = [sys.executable, "-m", "ifvit.cli", "enroll", str(tmp_path / "g"), "probe.png"]
    ended = subprocess.run(
        [*command, "--force", "--cluster", "127.0.0.1:1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("ifvit: error: --cluster 127.0.0.1:1 cannot be reached"), ended.stderr
    assert len(last) < 500
