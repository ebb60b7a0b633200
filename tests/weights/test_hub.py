"""Weights by name: shipped ones, a folder, a hub's repository; no network is used."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

import ifvit
from ifvit.weights import hub
from ifvit.weights.pretrained import DEFAULT, pretrained_files
from ifvit.weights.storage import DENSE_FILE, MATCHER_FILE


@pytest.fixture
def asked(monkeypatch) -> list[tuple]:
    """A hub that notes what it is asked for and answers with the weights that ship."""
    calls: list[tuple] = []

    def snapshot_download(repo, *, revision, allow_patterns):
        calls.append((repo, revision, tuple(allow_patterns)))
        if repo == "nobody/nothing":
            raise OSError("404 Client Error.\nRepository not found")
        return str(pretrained_files().dense.parent)

    fake = ModuleType("huggingface_hub")
    fake.snapshot_download = snapshot_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    return calls


def test_a_name_that_ships_is_that(asked):
    assert hub.named_files(DEFAULT) == pretrained_files() and asked == []


def test_a_folder_is_loaded_and_verified(exported, tmp_path, asked):
    folder = tmp_path / "mine"
    shutil.copytree(exported / "small", folder)
    matcher = ifvit.load(folder)
    assert matcher.decision.weights == (
        matcher.engine.dense_sha256,
        matcher.engine.matcher_sha256,
    )
    assert hub.named_files(str(folder)).dense == folder / DENSE_FILE and asked == []
    other = tmp_path / "damaged"
    shutil.copytree(exported / "small", other)
    (other / MATCHER_FILE).write_bytes((other / MATCHER_FILE).read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="is damaged or another file"):
        ifvit.load(other)


def test_a_folder_without_a_record_is_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"weights\.json.*ifvit release"):
        ifvit.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "repo", "revision"),
    [
        ("owner/name", "owner/name", None),
        ("o.w-n_er/na.me", "o.w-n_er/na.me", None),
        ("hf:owner/name", "owner/name", None),
        ("hf:owner/name@v1.2", "owner/name", "v1.2"),
        ("owner/name@v1.2", "owner/name", "v1.2"),
        ("owner/name@refs/pr/1", "owner/name", "refs/pr/1"),
    ],
)
def test_a_hubs_name_is_downloaded(asked, caplog, name, repo, revision):
    caplog.set_level("INFO", "ifvit")
    assert hub.named_files(name) == pretrained_files()
    assert asked == [(repo, revision, hub.WANTED)]
    said = f"asking the Hugging Face Hub for {name.removeprefix('hf:')}"
    assert [record.getMessage() for record in caplog.records] == [said]
    assert {"*.safetensors", "*.onnx", "*.json"} <= set(hub.WANTED)


@pytest.mark.parametrize(
    "name",
    ["nobody", "a/b/c", "../other/place", "./there", "/no/where", "owner/", "a b/c", "hf:name"],
)
def test_what_is_none_of_them_is_refused_without_asking(asked, name):
    with pytest.raises(ValueError, match=r"no weights called .*small.*folder.*owner/name"):
        ifvit.load(name)
    assert asked == []


def test_what_goes_wrong_there_is_one_line(asked):
    with pytest.raises(ValueError, match="nobody/nothing cannot be downloaded") as caught:
        ifvit.load("nobody/nothing")
    assert "\n" not in str(caught.value) and "404 Client Error. Repository" in str(caught.value)


def test_without_the_package_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 'ifvit\[hub\]'"):
        ifvit.load("owner/name")


def test_a_folder_comes_before_a_hub(exported, tmp_path, monkeypatch, asked):
    (tmp_path / "owner").mkdir()
    shutil.copytree(exported / "small", tmp_path / "owner" / "name")
    monkeypatch.chdir(tmp_path)
    assert hub.named_files("owner/name").dense == Path("owner/name") / DENSE_FILE
    assert asked == []


def test_a_slip_in_a_folders_name_asks_nobody(tmp_path, monkeypatch, asked):
    (tmp_path / "runs" / "small").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"runs/smal does not exist, .*hf:runs/smal") as caught:
        ifvit.load("runs/smal")
    assert asked == [] and "\n" not in str(caught.value)
    hub.named_files("hf:runs/smal")
    assert asked == [("runs/smal", None, hub.WANTED)]
