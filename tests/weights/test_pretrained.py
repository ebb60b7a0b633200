"""Weights by name: found, verified, and what is said where they are not what they should be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ifvit.weights import pretrained
from ifvit.weights.pretrained import (
    RECORD_FILE,
    list_weights,
    module1_file,
    module_files,
    pretrained_files,
)
from ifvit.weights.storage import DENSE_FILE, MATCHER_FILE


@pytest.fixture
def folder(exported, tmp_path, monkeypatch):
    """A copy of the exported weights, in the place of those that ship."""
    folder = tmp_path / "shipped"
    shutil.copytree(exported, folder)
    monkeypatch.setattr(pretrained, "SHIPPED", folder)
    return folder


def test_a_name_gives_its_files(folder):
    assert pretrained_files("small") == (
        folder / "small" / DENSE_FILE,
        folder / "small" / MATCHER_FILE,
    )
    assert module_files() == pretrained_files()
    assert list(list_weights()) == ["small"] and list_weights()["small"].licence == "Apache-2.0"


def test_an_unknown_name_lists_the_known_ones(folder):
    shutil.copytree(folder / "small", folder / "other")
    with pytest.raises(ValueError, match=r"no weights called 'smal' .* one of other, small"):
        pretrained_files("smal")
    shutil.rmtree(folder)
    with pytest.raises(ValueError, match=r"no weights ship with this copy .* --dense-ckpt"):
        pretrained_files("small")


@pytest.mark.parametrize("name", [DENSE_FILE, MATCHER_FILE])
def test_a_damaged_file_is_named(folder, name):
    path = folder / "small" / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} is damaged .* expected [0-9a-f]{{12}} .* again"):
        pretrained_files("small")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=rf"{name} does not exist: .* install ifvit again"):
        pretrained_files("small")


def test_files_are_verified_once(folder, monkeypatch):
    first = pretrained_files("small")
    monkeypatch.setattr(pretrained, "sha256_of", lambda *_: pytest.fail("hashed again"))
    assert pretrained_files("small") == first


@pytest.mark.parametrize("content", ["", "[]", '{"name": "small"}'])
def test_a_damaged_record_is_named(folder, content):
    (folder / "small" / RECORD_FILE).write_text(content)
    with pytest.raises(ValueError, match=r"weights\.json cannot be read .* `ifvit release`"):
        pretrained_files("small")


def test_both_checkpoints_or_neither(folder):
    assert [str(path) for path in module_files("a", "b")] == ["a", "b"]
    with pytest.raises(
        ValueError, match=r"--dense-ckpt a is given without --matcher-ckpt: .* both"
    ):
        module_files("a", None)
    with pytest.raises(
        ValueError, match=r"--matcher-ckpt b is given without --dense-ckpt: .* both"
    ):
        module_files(None, "b")


def test_a_training_starts_from_a_name_or_from_a_file(folder, tmp_path, monkeypatch):
    name = next(iter(list_weights()))
    monkeypatch.chdir(tmp_path)
    assert module1_file(name) == pretrained_files(name).dense
    assert module1_file("runs/dense.safetensors") == Path("runs/dense.safetensors")
    Path(name).touch()
    assert module1_file(name) == Path(name), "a file of that name comes first"
