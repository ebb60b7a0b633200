"""The wheel holds the weights that ship, to the byte."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ifvit.weights.pretrained import SHIPPED

ROOT = Path(__file__).parents[1]
BUILD = "from setuptools import build_meta; build_meta.build_wheel('dist')"


@pytest.fixture(scope="module")
def tree(exported, tmp_path_factory) -> Path:
    """A copy of what a wheel is built of, with small weights beside those that ship."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "ifvit", tree / "ifvit", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(exported / "small", tree / "ifvit/weights/shipped/tried")
    return tree


@pytest.fixture(scope="module")
def wheel(tree) -> Iterator[zipfile.ZipFile]:
    (tree / "dist").mkdir()
    # Its messages are for those who build; only the wheel is looked at here.
    done = subprocess.run(
        [sys.executable, "-c", BUILD],
        cwd=tree,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (path,) = (tree / "dist").glob("ifvit-*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_all_files_of_the_package_are_in_it_and_nothing_else(tree, wheel):
    made = {name for name in wheel.namelist() if ".dist-info/" not in name}
    there = {path.relative_to(tree).as_posix() for path in (tree / "ifvit").rglob("*")}
    assert made == {name for name in there if (tree / name).is_file()}
    assert "ifvit/weights/shipped/tried/weights.json" in made


def test_weights_are_in_it_to_the_byte(tree, wheel):
    folder = tree / "ifvit/weights/shipped"
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert len(paths) == 9 + sum(path.is_file() for path in SHIPPED.rglob("*"))
    for path in paths:
        assert wheel.read(path.relative_to(tree).as_posix()) == path.read_bytes()
