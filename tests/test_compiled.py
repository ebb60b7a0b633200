"""Compiled programs are kept where they may be, and nowhere else."""

import os
import subprocess
import sys

import pytest

from ifvit.commands import compiled
from ifvit.commands.compiled import PLACE

COMPILES = "import jax; print(float(jax.jit(lambda x: (x * 1.25).sum())(jax.numpy.ones(7))))"


@pytest.fixture(autouse=True)
def no_place(monkeypatch):
    for name in (PLACE, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        monkeypatch.setenv(name, "")  # so that what a test sets is put back
        monkeypatch.delenv(name)


def test_what_is_compiled_is_kept_for_this_processor(tmp_path, monkeypatch):
    monkeypatch.setenv("IFVIT_CACHE", str(tmp_path))
    monkeypatch.setattr(compiled, "SHORTEST", 0.0)
    compiled.keep_compiled()
    run = subprocess.run([sys.executable, "-c", COMPILES], check=True, capture_output=True)
    assert run.stdout.split() == [b"8.75"]
    (place,) = (tmp_path / "compiled").iterdir()
    assert any(path.name.startswith("jit_") for path in place.iterdir())
    monkeypatch.setattr(compiled, "_features", lambda: "flags: another processor")
    monkeypatch.delenv(PLACE)
    compiled.keep_compiled()
    assert len(list((tmp_path / "compiled").iterdir())) == 2


def test_a_place_that_was_named_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("IFVIT_CACHE", str(tmp_path))
    monkeypatch.setenv(PLACE, str(tmp_path / "own"))
    compiled.keep_compiled()
    assert os.environ[PLACE] == str(tmp_path / "own")


def test_nothing_is_kept_where_nothing_can_be(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for named in (str(tmp_path / "file"), "off"):
        monkeypatch.setenv("IFVIT_CACHE", named)
        compiled.keep_compiled()
        assert PLACE not in os.environ
