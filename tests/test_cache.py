"""The cache on disk: what is kept, what makes room, and that nothing in it can break a run."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ifvit.cache import MAPPED, SUFFIX, Cache, cache_folder, key_of, user_cache

ONE = {"a": np.arange(64, dtype=np.int8), "b": np.full((2, 3), 0.5, np.float32)}
NOISE = np.random.default_rng(0).integers(256, size=(8, 1000), dtype=np.uint8)
"""Rows that do not compress: a file of each has a little over 1000 bytes."""


def size_of_one(tmp_path: Path) -> int:
    Cache(tmp_path / "probe", 10**6).save("k/one", {"x": NOISE[0]})
    return (tmp_path / "probe" / f"k/one{SUFFIX}").stat().st_size + 20  # they differ a little


def test_what_was_saved_is_loaded_and_nothing_else(tmp_path):
    cache = Cache(tmp_path, 10**6)
    assert cache.load("k/one") is None
    cache.save("k/one", ONE)
    found = Cache(tmp_path, 10**6).load("k/one")
    assert found is not None and found.keys() == ONE.keys()
    for name, array in ONE.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert [p.name for p in (tmp_path / "k").iterdir()] == [f"one{SUFFIX}"]


def masters_first(root: Path) -> None:
    Cache(root, 10**6).save("k/one", ONE)


def prints_first(root: Path) -> None:
    Cache(root, 10**6).mapped("k/two", 3, lambda: iter([b"abc"]))


def compiled_first(root: Path) -> None:
    code = "from ifvit.commands.compiled import keep_compiled; keep_compiled()"
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment["IFVIT_CACHE"] = str(root)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.parametrize("first", [masters_first, prints_first, compiled_first])
def test_all_is_its_owners_alone_whoever_makes_it_first(tmp_path, first):
    before = os.umask(0o002)
    try:
        root = tmp_path / "new" / "cache"
        first(root)
        masters_first(root)
        prints_first(root)
    finally:
        os.umask(before)
    for path in (root, *root.rglob("*")):
        if "compiled" not in path.parts or path.is_dir():
            assert path.stat().st_mode & 0o077 == 0, path
    root.chmod(0o750)  # as its owner wants it
    Cache(root, 10**6).save("k/three", ONE)
    assert root.stat().st_mode & 0o777 == 0o750


def test_no_flipped_bit_is_read(tmp_path, caplog):
    """Every kind of place in a file: the arrays, their headers, the archive's own tables."""
    cache, draw = Cache(tmp_path, 10**6), np.random.default_rng(1)
    cache.save("k/one", {"x": NOISE[0], "y": np.zeros(3000, np.uint8)})
    path = tmp_path / f"k/one{SUFFIX}"
    whole = path.read_bytes()
    for _ in range(400):
        data = bytearray(whole)
        data[draw.integers(len(data))] ^= 1 << draw.integers(8)
        path.write_bytes(data)
        assert cache.load("k/one") is None
    path.write_bytes(bytes(len(whole)))
    assert cache.load("k/one") is None


def test_a_damaged_mapped_file_is_written_again(tmp_path, caplog):
    draw, content = np.random.default_rng(2), NOISE.tobytes()
    cache = Cache(tmp_path, 10**6)
    path = tmp_path / f"k/one{MAPPED}"

    def read() -> bytes:
        found = cache.mapped("k/one", len(content), lambda: iter([content[:100], content[100:]]))
        assert found is not None
        return found.tobytes()

    assert read() == content
    whole = path.read_bytes()
    for turn in range(100):
        data = bytearray(whole)
        data[draw.integers(len(data))] ^= 1 << draw.integers(8)
        path.write_bytes(
            [data, bytes(len(whole)), whole[:-1], b""][min(turn, 3) if turn < 4 else 0]
        )
        assert read() == content and path.read_bytes() == whole
    assert "is damaged" in caplog.text


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_a_damaged_file_is_a_warning_and_is_written_again(tmp_path, caplog, damage):
    cache = Cache(tmp_path, 10**6)
    cache.save("k/one", {"x": NOISE[0]})
    path = tmp_path / f"k/one{SUFFIX}"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:700], "flip": data, "empty": b"", "text": b"?" * 900}[damage])
    with caplog.at_level(logging.WARNING, "ifvit"):
        assert cache.load("k/one") is None
    assert f"one{SUFFIX} cannot be used" in caplog.text and "made again" in caplog.text
    cache.save("k/one", {"x": NOISE[1]})
    found = cache.load("k/one")
    assert found is not None and np.array_equal(found["x"], NOISE[1])


def test_files_that_hold_python_objects_are_not_loaded(tmp_path):
    path = tmp_path / f"k/one{SUFFIX}"
    path.parent.mkdir()
    with path.open("wb") as file:
        np.savez(file, x=np.array([{}], dtype=object))
    assert Cache(tmp_path, 10**6).load("k/one") is None


def test_the_files_used_longest_ago_make_room(tmp_path):
    size = size_of_one(tmp_path)
    root = tmp_path / "cache"
    for age, name in enumerate(["old", "older", "oldest"]):
        Cache(root, 10 * size).save(f"k/{name}", {"x": NOISE[age]})
        os.utime(root / f"k/{name}{SUFFIX}", (1000 - age, 1000 - age))
    (root / "k" / "notes.txt").write_text("not ours" * 1000)
    cache = Cache(root, 3 * size)
    assert cache.load("k/oldest") is not None  # which makes it the newest
    cache.save("k/new", {"x": NOISE[4]})
    names = {p.name.removesuffix(SUFFIX) for p in (root / "k").iterdir()}
    assert names == {"oldest", "old", "new", "notes.txt"}


def test_a_set_too_large_keeps_its_first_part(tmp_path, caplog):
    """Each part throwing out the one before would leave nothing to find at the next start."""
    size = size_of_one(tmp_path)
    root = tmp_path / "cache"
    cache = Cache(root, 3 * size)
    with caplog.at_level(logging.INFO, "ifvit"):
        for i, row in enumerate(NOISE):
            cache.save(f"k/{i}", {"x": row})
    names = {p.name.removesuffix(SUFFIX) for p in (root / "k").iterdir()}
    assert names == {"0", "1", "2"}
    assert caplog.text.count("is full") == 1


def test_what_a_killed_process_left_makes_room_too(tmp_path):
    size = size_of_one(tmp_path)
    root = tmp_path / "cache"
    left = root / "k" / f".one{SUFFIX}.123.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(bytes(size))
    Cache(root, size).save("k/two", {"x": NOISE[0]})
    assert left.exists(), "another process may be writing it"
    os.utime(left, (1000, 1000))
    Cache(root, size).save("k/two", {"x": NOISE[0]})
    assert [p.name for p in left.parent.iterdir()] == [f"two{SUFFIX}"]


@pytest.mark.parametrize("trouble", ["a file in its place", "no room"])
def test_a_folder_that_takes_nothing_costs_one_warning(tmp_path, caplog, monkeypatch, trouble):
    root = tmp_path / "cache"
    if trouble == "no room":

        def full(path, data, mode):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("ifvit.cache.write_atomically", full)
    else:
        root.write_text("not a folder")
    cache = Cache(root, 10**6)
    with caplog.at_level(logging.WARNING, "ifvit"):
        cache.save("k/one", ONE)
        cache.save("k/two", ONE)
    assert caplog.text.count("nothing more is kept") == 1 and "IFVIT_CACHE" in caplog.text


def test_where_the_users_cache_is(tmp_path, monkeypatch):
    monkeypatch.delenv("IFVIT_CACHE_GB", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("IFVIT_CACHE", "Off")
    assert user_cache() is None
    monkeypatch.setenv("IFVIT_CACHE", str(tmp_path / "own"))
    cache = user_cache()
    assert cache is not None and (cache.root, cache.limit) == (tmp_path / "own", 4 * 10**9)
    assert user_cache() is cache
    monkeypatch.setenv("IFVIT_CACHE", "")
    monkeypatch.setenv("IFVIT_CACHE_GB", "0.5")
    cache = user_cache()
    assert cache is not None and (cache.root, cache.limit) == (tmp_path / "ifvit", 5 * 10**8)
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    cache = user_cache()
    assert cache is not None and cache.root == tmp_path / ".cache" / "ifvit"


@pytest.mark.parametrize("variable", ["IFVIT_CACHE", "XDG_CACHE_HOME"])
def test_a_tilde_is_the_home_though_no_shell_read_it(tmp_path, monkeypatch, variable):
    for name in ("IFVIT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(variable, "~/kept")
    folder = cache_folder()
    assert folder is not None and folder.is_relative_to(tmp_path / "kept")


def test_without_a_working_folder_there_is_no_relative_cache(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setenv("IFVIT_CACHE", "kept")
    assert cache_folder() is None
    monkeypatch.setenv("IFVIT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


@pytest.mark.parametrize("text", ["many", "-1", "0", "nan", "inf"])
def test_a_size_that_is_none_is_an_error(tmp_path, monkeypatch, text):
    monkeypatch.setenv("IFVIT_CACHE", str(tmp_path))
    monkeypatch.setenv("IFVIT_CACHE_GB", text)
    with pytest.raises(ValueError, match=r"^IFVIT_CACHE_GB is '.*': expected gigabytes above 0"):
        user_cache()


def test_a_key_tells_all_parts_apart():
    keys = {key_of(b"ab", 1), key_of(b"a", b"b", 1), key_of(b"ab", 2), key_of(b"ab", 1, 0)}
    assert len(keys) == 4 and key_of(b"ab", 1) in keys
    assert all(len(key) == 16 and key.isalnum() for key in keys)


WRITER = """
import sys
import numpy as np
from pathlib import Path
from ifvit.cache import Cache
cache = Cache(Path(sys.argv[1]), int(sys.argv[2]))
for turn in range(150):
    value = turn % 5
    found = cache.load(f"k/{value}")
    if found is not None:
        assert np.array_equal(found["x"], np.full(20_000, value)), value
    cache._used.clear()
    cache.save(f"k/{value}", {"x": np.full(20_000, value)})
"""


def test_two_processes_use_one_cache_at_once(tmp_path):
    """Both write and remove the same files all the time, and neither ever sees half a file."""
    command = [sys.executable, "-W", "error", "-c", WRITER, str(tmp_path), "1500"]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0 and not said, said.decode()
