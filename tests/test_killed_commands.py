"""Commands killed at any moment: the same command goes on, and nothing half written is read.

IFVIT_KILLS sets how many kills there are of each command in the slow test, and IFVIT_SEED which:
parts of a long run can be made by themselves. What is told of an
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
from after_kills import (
    CopiedWhole,
    Kept,
    Purged,
    Rows,
    check_prints,
    check_training,
    ids_of,
    made_by_others,
    made_or_there,
    removed_or_gone,
    whole,
)
from killed_commands import KILLED, Killer

from ifvit.comparison.decision import load_decision
from ifvit.data.examples import FOLDER
from ifvit.gallery.template import load_templates
from ifvit.weights.convert import TABLE as CONVERTED
from ifvit.weights.loftr import read_loftr

PRINTS = sorted(FOLDER.glob("*.png"))


@dataclass
class Killed:
    """A command that is killed, and what is to be true of its folder after each kill."""

    argv: list[str]
    check: Callable[[Path, str], None]
    """Takes the folder of what it writes, and what it printed before it was killed."""
    share: float = 1
    """Of the kills: what takes long gets fewer."""
    before: Callable[[Path], None] = lambda out: None
    """Puts what it begins with into its folder, before any kill and after each success."""
    ends: Callable[[int, str], bool] = lambda code, said: code == 0
    """Whether a command that was not killed ended as it should, given what went before."""


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


GALLERIES = ("remove", "purge", "upgrade", "compact", "backup")
"""Commands that begin with a gallery."""


def commands(folder: Path, out: Path) -> dict[str, Killed]:
    """Return each command that writes, with what it reads made in ``folder``."""
    data, gallery, earlier = folder / "set", out / "gallery", folder / "earlier" / "gallery"
    rows, enrolled, kept = Rows(), Kept(), Kept(earlier)
    listed = tuple(ids_of(earlier)) if earlier.exists() else ("nobody",)
    removed, purged = Kept(earlier, listed[:1]), Purged(earlier, listed[:1])
    copied = CopiedWhole(earlier)
    return {
        "evaluate": Killed(
            ["evaluate", "--dataset-root", data, "--out", out], rows, before=rows.begin
        ),
        "calibrate": Killed(
            ["calibrate", folder / "scores" / "scores.csv", "--out", out / "decision.json"],
            lambda out, said: whole(out / "decision.json", load_decision),
        ),
        "embed": Killed(
            ["embed", *PRINTS, "--out", out / "t.npz"],
            lambda out, said: whole(out / "t.npz", load_templates),
        ),
        "convert-loftr": Killed(
            [
                *("convert-loftr", "--num-heads", "2", "--pytorch-ckpt"),
                *(folder / "loftr.ckpt", "--output", out / "loftr.npz"),
            ],
            lambda out, said: whole(out / "loftr.npz", read_loftr),
        ),
        "enroll": Killed(["enroll", gallery, data], enrolled, 0.5, enrolled.begin),
        "remove": Killed(
            ["remove", gallery, listed[0]], removed, 0.5, removed.begin, removed_or_gone
        ),
        "purge": Killed(
            ["remove", gallery, listed[0], "--purge"], purged, 0.5, purged.begin, removed_or_gone
        ),
        "upgrade": Killed(["gallery", "upgrade", gallery], kept, 0.5, kept.begin),
        "compact": Killed(["gallery", "compact", gallery], kept, 0.5, kept.begin),
        "backup": Killed(
            ["gallery", "backup", gallery, "--out", out / "copy"], copied, 0.5, copied.begin
        ),
        "synth": Killed(
            ["synth", "--fingers", "1", "--impressions", "2", "--out", out],
            check_prints,
            0.2,
            ends=made_or_there,
        ),
        "train-dense": Killed(
            [
                *("train-dense", "--preset", "tiny", "--epochs", "1", "--pairs-per-epoch", "4"),
                *("--batch-size", "2", "--fingers", "4", "--val-fingers", "4"),
                *("--checkpoint-dir", out),
            ],
            check_training,
            0.1,
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


def prepared(name: str, folder: Path, out: Path, killer: Killer) -> Killed:
    """Make what a command reads, and return the command."""
    (folder / "set").mkdir()
    for path in PRINTS:
        shutil.copy(path, folder / "set")
    if name == "convert-loftr":
        write_loftr(folder / "loftr.ckpt")
    elif name == "calibrate":
        argv = ["evaluate", "--dataset-root", folder / "set", "--out", folder / "scores"]
        assert killer.run(argv)[0] == 0
    elif name in GALLERIES:
        earlier = folder / "earlier" / "gallery"
        assert killer.run(["enroll", earlier, folder / "set", "--keep-prints"])[0] == 0
        if name == "upgrade":
            made_by_others(earlier)
    return commands(folder, out)[name]


def kill_often(name: str, kills: int, server: subprocess.Popen, folder: Path, seed: int) -> int:
    """Kill a command so often, at each part of its way; some runs of it may end in between."""
    out = folder / "out"
    killer = Killer(server, random.Random(f"{seed} {name}"), folder)
    one = prepared(name, folder, out, killer)

    def fresh() -> None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        one.before(out)

    def to_its_end() -> None:
        code, said = killer.run(one.argv)
        assert one.ends(code, said), said
        one.check(out, said)
        left = [path for path in out.rglob("*.tmp") if "gallery" not in path.parts]
        assert not left, "what was half written stays for good"
        fresh()

    fresh()
    to_its_end()
    steps, cpu = killer.steps, killer.cpu
    wanted = max(1, round(kills * one.share))
    for _ in range(5 * wanted):
        code, said = killer.kill(one.argv, steps, cpu)
        assert code in KILLED or one.ends(code, said), said
        one.check(out, said)
        if code not in KILLED:
            fresh()
        elif killer.draw.random() < 0.25:
            to_its_end()
        if killer.kills >= wanted:
            break
    to_its_end()
    return killer.kills


NAMES = (
    *("evaluate", "calibrate", "embed", "convert-loftr", "enroll", *GALLERIES),
    *("synth", "train-dense"),
)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("synth", "train-dense")])
@pytest.mark.heavy
def test_some_kills(name, server, tmp_path):
    kill_often(name, 4, server, tmp_path, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_kills(name, server, tmp_path, record_property):
    kills, seed = (
        int(os.environ.get(f"IFVIT_{what}", n)) for what, n in (("KILLS", 8), ("SEED", 1))
    )
    made = kill_often(name, kills, server, tmp_path, seed)
    record_property("kills", made)
    assert made >= round(kills * commands(tmp_path, tmp_path / "out")[name].share)
    print(f"{name}: {made} kills")
