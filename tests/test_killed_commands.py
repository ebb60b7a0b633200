"""Commands killed at any moment: the same command goes on, and nothing half written is read.

IFVIT_KILLS sets how many kills there are of each command in the slow test. What is told of an
evaluation, a gallery and a training is asked more closely by tests of their own.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from killed_commands import Killer
from PIL import Image

from ifvit.comparison.decision import load_decision
from ifvit.data.examples import FOLDER
from ifvit.data.images import read_image
from ifvit.gallery.template import load_templates
from ifvit.texts import read_json, read_table
from ifvit.weights.checkpoint import read_metadata
from ifvit.weights.convert import TABLE as CONVERTED
from ifvit.weights.loftr import read_loftr

PRINTS = sorted(FOLDER.glob("*.png"))


@dataclass
class Killed:
    """A command that is killed, and what is to be true of its folder after each kill."""

    argv: list[str]
    check: Callable[[Path, str], None]
    """Takes the folder of what it writes, and what it printed before it was killed."""
    steps: int = 12
    """Changes of folders within which it is killed."""
    seconds: float = 4
    done: Callable[[Path], bool] = lambda out: False
    """Whether there is nothing more to do, so that the next kill begins with an empty folder."""
    share: float = 1
    """Of the kills: what takes long gets fewer."""


def whole(path: Path, read: Callable[[Path], object]) -> None:
    if path.exists():
        read(path)


def check_prints(out: Path, said: str) -> None:
    for path in out.glob("*.png"):
        read_image(path) if path.stem != "contact_sheet" else Image.open(path).load()
    table = out / "manifest.csv"
    if table.exists():
        rows = read_table(table, ["file", "finger"], "a table")
        assert all((out / row.values["file"]).exists() for row in rows)


def check_training(out: Path, said: str) -> None:
    for path in out.rglob("*.safetensors"):
        read_metadata(path)
    whole(out / "config.json", lambda path: read_json(path, "settings"))


class Rows:
    """The rows of an evaluation: what was there stays, and each is whole."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def __call__(self, out: Path, said: str) -> None:
        path = out / "scores.csv"
        lines = path.read_bytes().splitlines(True) if path.exists() else []
        lines = [line for line in lines if line.endswith(b"\n")]
        assert lines[: len(self.seen)] == self.seen, "a row is lost"
        self.seen = lines


class Enrolled:
    """What a gallery's commands have told is so when it is opened again."""

    def __init__(self) -> None:
        self.there: set[str] = set()

    def __call__(self, out: Path, said: str) -> None:
        from ifvit.gallery.gallery import Gallery

        lines = [line.split("\t") for line in said.split("\n")[:-1] if "\t" in line]
        self.there |= {words[0] for words in lines if words[1] in ("enrolled", "known")}
        if not self.there:
            return
        gallery = Gallery(out)
        assert self.there <= set(gallery.labels()["id"].to_pylist()), "a print is lost"
        assert gallery.store.damaged() == []


def write_loftr(path: Path, layers: int = 2, width: int = 8) -> Path:
    """Write a PyTorch checkpoint with LoFTR's names, small enough to be converted in no time."""
    torch = pytest.importorskip("torch")
    shapes = {"mlp.0.weight": (2 * width, 2 * width), "mlp.2.weight": (width, 2 * width)}
    made = {
        f"layers.{layer}.{name}": torch.ones(
            (width,) if name.startswith("norm") else shapes.get(name, (width, width))
        )
        for layer in range(layers)
        for name in CONVERTED
    }
    torch.save(made, path)
    return path


def commands(folder: Path, out: Path) -> dict[str, Killed]:
    """Return each command that writes, with what it reads made in ``folder``."""
    data = folder / "set"
    data.mkdir()
    for path in PRINTS:
        shutil.copy(path, data)
    gallery = out / "gallery"
    rows, enrolled = Rows(), Enrolled()
    return {
        "evaluate": Killed(["evaluate", "--dataset-root", data, "--out", out], rows),
        "calibrate": Killed(
            ["calibrate", folder / "scores" / "scores.csv", "--out", out / "decision.json"],
            lambda out, said: whole(out / "decision.json", load_decision),
            4,
            1,
        ),
        "embed": Killed(
            ["embed", *PRINTS, "--out", out / "t.npz"],
            lambda out, said: whole(out / "t.npz", load_templates),
            4,
            2,
        ),
        "convert-loftr": Killed(
            [
                *("convert-loftr", "--num-heads", "2", "--pytorch-ckpt"),
                *(write_loftr(folder / "loftr.ckpt"), "--output", out / "loftr.npz"),
            ],
            lambda out, said: whole(out / "loftr.npz", read_loftr),
            4,
            3,
            share=0.3,
        ),
        "enroll": Killed(
            ["enroll", gallery, data], lambda out, said: enrolled(gallery, said), 20, share=0.5
        ),
        "compact": Killed(
            ["gallery", "compact", gallery], lambda out, said: enrolled(gallery, said), 9, 2
        ),
        "synth": Killed(
            ["synth", "--fingers", "1", "--impressions", "2", "--out", out],
            check_prints,
            12,
            9,
            lambda out: (out / "contact_sheet.png").exists(),
            0.15,
        ),
        "train-dense": Killed(
            [
                *("train-dense", "--preset", "tiny", "--epochs", "1", "--pairs-per-epoch", "4"),
                *("--batch-size", "2", "--fingers", "4", "--val-fingers", "4"),
                *("--checkpoint-dir", out),
            ],
            check_training,
            60,
            20,
            share=0.1,
        ),
    }


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen]:
    code = [sys.executable, str(Path(__file__).with_name("killed_commands.py"))]
    with subprocess.Popen(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as made:
        assert made.stdout is not None and made.stdout.readline() == "ready\n"
        yield made
        assert made.stdin is not None
        made.stdin.close()


def kill_often(name: str, kills: int, server: subprocess.Popen, folder: Path, seed: int) -> int:
    """Kill a command so often; then let it end."""
    out = folder / "out"
    killer = Killer(server, random.Random(f"{seed} {name}"), folder)
    one = commands(folder, out)[name]
    if name == "calibrate":
        scores = folder / "scores"
        argv = ["evaluate", "--dataset-root", folder / "set", "--out", scores]
        assert killer.run(argv)[0] == 0
    out.mkdir()
    if name == "compact":
        assert killer.run(["enroll", out / "gallery", folder / "set"])[0] == 0
        one.check(out, (folder / "said").read_text(encoding="utf-8"))
    for _ in range(round(kills * one.share)):
        code, said = killer.kill(one.argv, one.steps, one.seconds)
        assert code in (-9, 0), said
        one.check(out, said)
        if one.done(out):
            shutil.rmtree(out)
            out.mkdir()
    code, said = killer.run(one.argv)
    assert code == 0, said
    one.check(out, said)
    left = [path for path in out.rglob("*.tmp") if "gallery" not in path.parts]
    assert not left, "what was half written stays for good"
    return killer.kills


NAMES = (
    *("evaluate", "calibrate", "embed", "convert-loftr", "enroll", "compact"),
    *("synth", "train-dense"),
)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("synth", "train-dense")])
def test_some_kills(name, server, tmp_path):
    kill_often(name, 4, server, tmp_path, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_kills(name, server, tmp_path, record_property):
    kills = int(os.environ.get("IFVIT_KILLS", "30"))
    made = kill_often(name, kills, server, tmp_path, 1)
    record_property("kills", made)
    print(f"{name}: {made} kills")
