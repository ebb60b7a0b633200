"""The loop with a made-up task: what it writes, prints and keeps, and how it stops."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

from ifvit.config import DenseConfig, OptimConfig, RunConfig
from ifvit.training.loop import Task, epoch_line, fit
from ifvit.training.run import open_run

CONFIG = DenseConfig(optim=OptimConfig(epochs=2, pairs_per_epoch=6, batch_size=2))


class Fake:
    """A task whose loss in step i is i, or what ``losses`` says."""

    def __init__(self, folder: Path, losses: dict[int, float] | None = None) -> None:
        self.path, self.losses, self.steps = folder / "ckpt", losses or {}, []
        self.saved: list[tuple[int, int, dict[str, float]]] = []

    def step(self, index: int) -> dict:
        self.steps.append(index)
        loss = self.losses.get(index, float(index))
        return {"L_D": np.float32(loss), "loss": np.float32(2 * loss)}

    def save(self, epoch: int, step: int, metrics: dict[str, float]) -> None:
        self.saved.append((epoch, step, dict(metrics)))
        self.path.write_text(f"epoch {epoch}")

    def fit(self, config: DenseConfig = CONFIG, extra: dict | None = None) -> Path:
        modules = {"model": nnx.Linear(1, 1, rngs=nnx.Rngs(0))}
        task = Task(("L_D",), modules, self.path, self.step, lambda: {"val_auc": 0.75}, self.save)
        with open_run(config, self.path, lambda metrics: metrics["val_auc"]) as run:
            return fit(task, config, run, extra)


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_metrics_lines_console_lines_and_checkpoints(tmp_path, capsys):
    fake = Fake(tmp_path)
    assert fake.fit(extra={"lineage": ["somewhere"]}) == fake.path
    assert fake.steps == list(range(6))
    # Means over the epoch's three steps.
    assert [(epoch, step) for epoch, step, _ in fake.saved] == [(1, 3), (2, 6)]
    assert fake.saved[0][2] == {"L_D": 1.0, "loss": 2.0, "val_auc": 0.75}
    start, first, second = lines(tmp_path)
    assert start["event"] == "start" and start["lineage"] == ["somewhere"]
    assert start["config"]["optim"]["batch_size"] == 2
    assert (first["event"], first["epoch"], first["L_D"], first["val_auc"]) == ("epoch", 1, 1, 0.75)
    assert (second["epoch"], second["L_D"]) == (2, 4) and second["seconds"] >= 0
    out = capsys.readouterr().out.splitlines()
    assert out == [
        "Epoch 1/2 | L_D: 1.000 | val_auc 0.750",
        "Epoch 2/2 | L_D: 4.000 | val_auc 0.750",
    ]


def test_a_second_run_appends_and_keeps_the_first(tmp_path):
    for _ in range(2):
        Fake(tmp_path).fit(replace(CONFIG, run=RunConfig("not used", resume=False)))
    assert {"ckpt", "ckpt.1", "state", "state.1"} <= {path.name for path in tmp_path.iterdir()}
    assert [line["event"] for line in lines(tmp_path)] == ["start", "epoch", "epoch"] * 2


def test_all_losses_are_on_the_console_line():
    metrics = {"L_D": 2.3451, "L_E": 0.5, "L_A": 10.0, "loss": 3.0, "val_eer": 0.1}
    line = epoch_line(3, 50, metrics, ("L_D", "L_E", "L_A"))
    assert line == "Epoch 3/50 | L_D: 2.345 | L_E: 0.500 | L_A: 10.000 | val_eer 0.100"


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_and_names_the_step(tmp_path, wrong):
    fake = Fake(tmp_path, {4: wrong})
    with pytest.raises(ValueError, match=r"L_D is (nan|inf) at step 4: training stopped") as caught:
        fake.fit()
    assert "\n" not in str(caught.value) and "batch 4" in str(caught.value)
    assert fake.path.read_text() == "epoch 1"
    assert [line["event"] for line in lines(tmp_path)] == ["start", "epoch"]


def test_a_nan_is_seen_within_twenty_steps(tmp_path):
    """Not only at the end of a long epoch, and the step is the right one all the same."""
    fake = Fake(tmp_path, {27: float("nan")})
    with pytest.raises(ValueError, match="at step 27:"):
        fake.fit(DenseConfig(optim=OptimConfig(1, pairs_per_epoch=200, batch_size=2)))
    assert len(fake.steps) == 40


def test_no_epochs_is_an_error():
    with pytest.raises(ValueError, match="epochs is 0"):
        OptimConfig(epochs=0)


def test_steps_per_epoch():
    many, few = (OptimConfig(3, pairs_per_epoch=pairs, batch_size=128) for pairs in (1000, 5))
    assert (many.steps_per_epoch, many.steps) == (7, 21)
    assert (few.steps_per_epoch, few.steps) == (1, 3)
