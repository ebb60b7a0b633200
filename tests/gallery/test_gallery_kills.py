"""A gallery killed at any moment: what was acknowledged is there, nothing twice, and it opens.

IFVIT_KILLS sets how many kills there are.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from fake_matcher import FakeMatcher, print_bytes

from ifvit.gallery.enrolment import Entry
from ifvit.gallery.gallery import Gallery

CHILD = """
import sys
sys.path.insert(0, sys.argv[4])
from fake_matcher import FakeMatcher, print_bytes
from ifvit.gallery import enroller, upgrade
from ifvit.gallery.enrolment import Entry
from ifvit.gallery.gallery import Gallery
enroller.COMMIT = upgrade.COMMIT = 3
path, action, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
gallery = Gallery(path, FakeMatcher(seed=number if action == "upgrade" else 0))
gallery.matcher, gallery.store
print("ready", flush=True)
sys.stdin.readline()
if action == "enroll":
    entries = (Entry(print_bytes(number, n), f"person {number}", str(n)) for n in range(256))
    for one in gallery.enrolling(entries, keep_prints=True):
        print(one.id, flush=True)
elif action == "remove":
    for id in gallery.labels()["id"].to_pylist():
        gallery.remove([id], purge=number % 2 == 0)
        print(id, flush=True)
elif action == "compact":
    while True:
        gallery.compact(purge=number % 2 == 0)
elif action == "upgrade":
    gallery.upgrade()
    print("done", flush=True)
"""

ACTIONS = ("enroll", "enroll", "remove", "compact", "enroll", "upgrade")


def killed(path: Path, action: str, number: int, after: float) -> list[str]:
    """Let a process work on a gallery, kill it, and return what it has acknowledged."""
    command = [sys.executable, "-c", CHILD, str(path), action, str(number)]
    command.append(str(Path(__file__).parent))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "ready\n"
        child.stdin.write("\n")
        child.stdin.flush()
        time.sleep(after)
        child.kill()
        return [line for line in child.stdout.read().split("\n")[:-1] if line != "done"]


def check(path: Path, there: set[str], gone: set[str], maybe: set[str]) -> set[str]:
    """Check a gallery against what it must hold; what was under way may be there or not."""
    gallery = Gallery(path, FakeMatcher())
    ids = gallery.labels()["id"].to_pylist()
    assert max(Counter(ids).values(), default=1) == 1, "a print is there twice"
    assert there - maybe <= set(ids), "a print that was acknowledged is lost"
    assert not gone & set(ids), "a print that was removed is back"
    assert gallery.store.damaged() == []
    gallery.enroll([Entry(print_bytes(255, 255), "the last")])
    gallery.remove(["the last"])
    return set(ids)


def kills(path: Path, count: int) -> int:
    draw = random.Random(0)
    gallery = Gallery(path, FakeMatcher(), create=True)
    few = [Entry(print_bytes(200, n), "person 200", str(n)) for n in range(12)]
    there = {one.id for one in gallery.enroll(few, keep_prints=True)}
    told = 0
    for turn in range(count):
        action = ACTIONS[turn % len(ACTIONS)]
        order = Gallery(path).labels()["id"].to_pylist()
        acknowledged = killed(path, action, turn % 200, draw.uniform(0.01, 0.6))
        told += len(acknowledged)
        if action == "remove":
            # The removal after the last that was told may have been committed too.
            gone = set(acknowledged)
            assert order[: len(gone)] == acknowledged
            there = check(path, there - gone, gone, set(order[: len(gone) + 1]))
            continue
        if action == "upgrade":
            Gallery(path, FakeMatcher()).upgrade()
        there = check(path, there | set(acknowledged), set(), set())
    found = Gallery(path, FakeMatcher()).search(print_bytes(turn % 200, 7)).candidates
    assert found and len(there) > 12
    return told


@pytest.mark.heavy
def test_a_gallery_survives_some_kills(tmp_path) -> None:
    kills(tmp_path / "g", 6)


@pytest.mark.slow
def test_a_gallery_survives_many_kills(tmp_path) -> None:
    assert kills(tmp_path / "g", int(os.environ.get("IFVIT_KILLS", "30"))) > 50
