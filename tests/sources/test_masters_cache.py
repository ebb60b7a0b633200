"""Fingers kept on disk: the same as grown ones, grown once, never those of another generator."""

from __future__ import annotations

import ast
import logging
from pathlib import Path

import numpy as np
import pytest

import ifvit
from ifvit.cache import SUFFIX, Cache
from ifvit.sources import masters as grown_masters
from ifvit.synthesis import Master

SIZE = 4
PACKAGE = Path(ifvit.__file__).parent


@pytest.fixture
def grown(monkeypatch, masters, tmp_path):
    """Masters in blocks of four, and the list of those that were grown rather than read.

    Stands in for the growing itself, which other tests are about: finger f is that of row f % 4,
    with its number for a core.
    """
    calls: list[int] = []

    def grow(seed: int, fingers: np.ndarray) -> Master:
        calls.extend(int(f) for f in fingers)
        rows = np.asarray(fingers) % SIZE
        some = grown_masters.take(masters, rows)
        return some._replace(core=np.stack([fingers, np.full(len(rows), seed)], 1).astype("f4"))

    monkeypatch.setattr(grown_masters, "MASTERS_PER_CALL", SIZE)
    monkeypatch.setattr(grown_masters, "grow_masters", grow)
    monkeypatch.setenv("IFVIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IFVIT_CACHE_GB", raising=False)
    forget()
    yield calls
    forget()


def forget() -> None:
    """Forget what is in memory, as a new process would."""
    grown_masters.masters_of.cache_clear()
    grown_masters.masters_key.cache_clear()


def numbers(made: Master) -> list[int]:
    return [int(x) for x in np.asarray(made.core)[:, 0]]


def test_fingers_are_grown_once_whatever_part_is_asked_for(grown, masters):
    made = grown_masters.masters_of(0, 5, 4)
    assert numbers(made) == [5, 6, 7, 8] and grown == list(range(4, 12))
    np.testing.assert_array_equal(made.ridges, np.asarray(masters.ridges)[[1, 2, 3, 0]])
    forget()
    again = grown_masters.masters_of(0, 4, 8)
    assert numbers(again) == list(range(4, 12)) and len(grown) == 8
    for own, other in zip(made, again, strict=True):
        assert isinstance(other, np.ndarray) and own.dtype == other.dtype
        np.testing.assert_array_equal(own, other[1:5])
    grown_masters.masters_of(0, 0, 12)
    assert grown[8:] == [0, 1, 2, 3]


def test_a_growth_that_was_interrupted_goes_on(grown, monkeypatch):
    grow = grown_masters.grow_masters

    def interrupted(seed: int, fingers: np.ndarray) -> Master:
        if fingers[0] >= 8:
            raise KeyboardInterrupt
        return grow(seed, fingers)

    monkeypatch.setattr(grown_masters, "grow_masters", interrupted)
    with pytest.raises(KeyboardInterrupt):
        grown_masters.masters_of(0, 0, 16)
    monkeypatch.setattr(grown_masters, "grow_masters", grow)
    assert numbers(grown_masters.masters_of(0, 0, 16)) == list(range(16))
    assert grown == list(range(16))


def test_a_damaged_block_is_grown_again_with_a_warning(grown, caplog, tmp_path):
    grown_masters.masters_of(0, 0, 8)
    path = sorted((tmp_path / "cache" / "masters").glob(f"*{SUFFIX}"))[1]
    path.write_bytes(path.read_bytes()[:-100])
    forget()
    with caplog.at_level(logging.WARNING, "ifvit"):
        assert numbers(grown_masters.masters_of(0, 0, 8)) == list(range(8))
    assert grown[8:] == [4, 5, 6, 7] and path.name in caplog.text


def test_another_seed_or_generator_is_another_finger(grown, monkeypatch, tmp_path):
    grown_masters.masters_of(0, 0, 4)
    assert np.asarray(grown_masters.masters_of(1, 0, 4).core)[0, 1] == 1
    folder = tmp_path / "edited"
    folder.mkdir()
    for name in grown_masters.GENERATOR:
        text = (PACKAGE / name).read_bytes()
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(text)
    monkeypatch.setattr(grown_masters, "files", lambda _: folder)
    forget()
    grown_masters.masters_of(0, 0, 4)
    assert len(grown) == 8, "the same text is the same generator"
    ridges = folder / "synthesis" / "ridges.py"
    ridges.write_bytes(b"# changed\n" + ridges.read_bytes())
    forget()
    grown_masters.masters_of(0, 0, 4)
    assert len(grown) == 12


def test_without_a_cache_all_is_grown_and_nothing_written(grown, monkeypatch, tmp_path):
    monkeypatch.setenv("IFVIT_CACHE", "off")
    monkeypatch.setattr(Cache, "save", lambda *_: pytest.fail("written"))
    grown_masters.masters_of(0, 0, 4)
    forget()
    grown_masters.masters_of(0, 0, 4)
    assert len(grown) == 8 and not (tmp_path / "cache").exists()


def test_the_key_covers_every_file_that_a_master_depends_on():
    seen, to_see = set(), {"synthesis/master.py"}
    while to_see:
        name = to_see.pop()
        seen.add(name)
        tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
        used = {
            "/".join((node.module or "").split(".")[1:]) + ".py"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            and (node.module or "").startswith(("ifvit.synthesis.", "ifvit.geometry."))
        }
        to_see |= used - seen
    assert seen == set(grown_masters.GENERATOR)
