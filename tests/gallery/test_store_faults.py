"""What goes wrong on a disk: one line each, and nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fake_matcher import FakeMatcher, print_array, print_bytes
from test_gallery import row_of

from ifvit.gallery.gallery import Gallery
from ifvit.gallery.row_store import TABLE


@pytest.fixture
def gallery(tmp_path) -> Gallery:
    made = Gallery(tmp_path / "g", FakeMatcher(), create=True)
    for number in range(6):
        made.enroll([print_bytes(number)], f"person {number}", keep_prints=True)
    return made


def fragments(gallery: Gallery) -> list[Path]:
    return sorted((Path(gallery.path) / f"{TABLE}.lance" / "data").iterdir())


def test_a_second_writer_is_one_line_and_readers_go_on(gallery) -> None:
    with gallery.store.writing():
        other = Gallery(gallery.path, FakeMatcher())
        calls = (
            lambda: other.enroll([print_array(9)]),
            lambda: other.remove(["person 1"]),
            lambda: other.compact(),
            lambda: other.upgrade(),
        )
        for call in calls:
            with pytest.raises(ValueError, match=r"another run, process \d+, is at work in"):
                call()
        assert other.search(print_array(1, 2)).found[0].subject == "person 1"
    assert [one.state for one in other.enroll([print_array(9)])] == ["enrolled"]


def test_two_that_write_without_a_lock_lose_nothing(gallery) -> None:
    """As in an object store, where the engine's commits are all that there is."""
    first, second = (Gallery(gallery.path, FakeMatcher()) for _ in range(2))
    rows = [row for few in first.store.rows() for row in few]
    first.store.delete([row.id for row in rows[:2]])
    second.store.refresh()
    first.store.add(rows[:1])
    second.store.add(rows[:2])
    assert sorted(first.labels()["id"].to_pylist()) == sorted(row.id for row in rows)


@pytest.mark.parametrize("seed", range(4))
def test_each_write_is_one_commit(gallery, seed) -> None:
    """Between two, a process that is killed would leave prints gone, or there twice."""
    draw, store = random.Random(seed), gallery.store
    rows = [row for few in store.rows() for row in few]
    for _ in range(6):
        few = draw.sample(rows, draw.randint(1, len(rows)))
        before, there = store.refresh(), set(store.labels()["id"].to_pylist())
        new = [row for row in few if row.id not in there]
        if new:
            store.add(new)
        elif draw.random() < 0.5:
            store.replace([replace(row, subject=f"as {draw.random()}") for row in few])
        else:
            store.delete([row.id for row in few])
        assert store.refresh() == before + 1


class Panic(BaseException):
    """As what the engine raises where its own code fails: no Exception."""


@pytest.mark.parametrize("error", [Panic("unwrap()\non None"), RuntimeError("x" * 9999), Panic()])
def test_whatever_the_engine_raises_is_one_line(gallery, monkeypatch, error) -> None:
    def fail(*_, **__):
        raise error

    for name in ("checkout_latest", "count_rows", "merge_insert", "delete", "search"):
        monkeypatch.setattr(type(gallery.store._table), name, fail)
    calls = (
        gallery.store.refresh,
        gallery.store.count,
        gallery.store.labels,
        lambda: gallery.store.delete(["ab"]),
        lambda: gallery.store.add([]),
    )
    for call in calls:
        with pytest.raises(ValueError, match=type(error).__name__) as caught:
            call()
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_is_not_the_engines_stays_what_it_is(gallery, monkeypatch, error) -> None:
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(type(gallery.store._table), "checkout_latest", fail)
    with pytest.raises(error):
        gallery.store.refresh()


@pytest.mark.parametrize("damage", ["cut", "gone", "flipped"])
def test_a_damaged_fragment_is_one_line_or_found_by_the_check(gallery, damage) -> None:
    path = fragments(gallery)[2]
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        row = row_of(gallery, "person 3")
        (path,) = (p for p in fragments(gallery) if row.image in p.read_bytes())
        data = path.read_bytes()
        at = data.index(row.image) + 100
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    opened = Gallery(gallery.path, FakeMatcher())
    if damage == "flipped":
        assert opened.store.damaged() == [row.id]
        return
    for call in (opened.store.damaged, lambda: opened.search(print_array(1, 2))):
        with pytest.raises(ValueError, match="if files are damaged") as caught:
            call()
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


FULL = """
import resource, sys
sys.path.insert(0, sys.argv[2])
from fake_matcher import FakeMatcher, print_bytes
from test_gallery import row_of

from ifvit.gallery.gallery import Gallery
gallery = Gallery(sys.argv[1], FakeMatcher())
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    gallery.enroll([print_bytes(n) for n in range(100, 110)], keep_prints=True)
except (ValueError, OSError) as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limits of a process")
def test_a_full_disk_is_one_line_and_leaves_what_was_there(gallery) -> None:
    """A limit on the size of files stands for the disk: the write fails in the same place."""
    command = [sys.executable, "-c", FULL, gallery.path, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1 and "enrolling failed" in done.stdout, done.stdout
    assert len(gallery) == 6 and gallery.store.damaged() == []
    assert gallery.enroll([print_bytes(100)])[0].state == "enrolled"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_takes_no_files_is_one_line(gallery, tmp_path) -> None:
    os.chmod(tmp_path, 0o500)
    try:
        with pytest.raises(ValueError, match="nothing can be written in"):
            Gallery(tmp_path / "new", FakeMatcher(), create=True)
    finally:
        os.chmod(tmp_path, 0o700)
    os.chmod(gallery.path, 0o500)
    os.chmod(f"{gallery.path}/.lock", 0o400)
    try:
        with pytest.raises((ValueError, OSError)):
            gallery.enroll([print_bytes(9)])
        assert len(Gallery(gallery.path, FakeMatcher())) == 6
    finally:
        os.chmod(gallery.path, 0o700)
