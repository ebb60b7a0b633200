"""`ifvit runs`: what the runs below a folder have recorded."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ifvit.cli import main
from ifvit.config import DenseConfig, RunConfig
from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS
from ifvit.training.history import read_run, runs_below, summary
from ifvit.weights.settings import to_json


def write(folder: Path, *lines: dict | str) -> Path:
    folder.mkdir(parents=True)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "metrics.jsonl").write_text("\n".join(texts) + "\n")
    return folder / "metrics.jsonl"


def begin(config, event: str = "start") -> dict:
    return {"event": event, "config": json.loads(to_json(config))}


def epoch(number: int, **metrics: float) -> dict:
    return {"event": "epoch", "epoch": number, "seconds": 1.0, "L_D": 3.0, **metrics}


@pytest.fixture
def folder(tmp_path):
    small = DENSE_PRESETS["small"]
    slow = replace(small, optim=replace(small.optim, epochs=4), run=RunConfig("anywhere"))
    write(
        tmp_path / "a",
        *(begin(DenseConfig()), epoch(1, val_cell_accuracy=0.9)),
        *(begin(slow), epoch(1, val_cell_accuracy=0.2), epoch(2, val_cell_accuracy=0.25)),
        *(begin(slow, "resume"), epoch(2, val_cell_accuracy=0.5), '{"event": "epo'),
        epoch(3, val_cell_accuracy=0.4),
    )
    optim, model = replace(slow.optim, learning_rate=0.01), replace(slow.model, temperature=0.2)
    fast = replace(slow, optim=optim, model=model)
    write(tmp_path / "deep" / "b", begin(fast), epoch(1, val_cell_accuracy=0.3))
    errors, worse = {"val_eer": 0.2, "val_index_eer": 0.4}, {"val_eer": 0.3, "val_index_eer": 0.5}
    write(tmp_path / "c", begin(MATCH_PRESETS["paper"]), epoch(1, **errors), epoch(2, **worse))
    write(tmp_path / "other", {"event": "start", "config": {"lr": 1}}, "not json")
    return tmp_path


def test_a_run_is_its_newest_start(folder):
    run = read_run(folder / "a" / "metrics.jsonl")
    assert [line["epoch"] for line in run.epochs] == [1, 2, 3]
    assert run.best == {"val_cell_accuracy": (0.5, 2)}
    assert run.config["optim"]["epochs"] == 4
    # Of an error rate the lowest is the best.
    best = {"val_eer": (0.2, 1), "val_index_eer": (0.4, 1)}
    assert read_run(folder / "c" / "metrics.jsonl").best == best
    assert read_run(folder / "other" / "metrics.jsonl") is None


def test_the_command_lists_them_with_what_differs(folder, capsys):
    assert main(["runs", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{folder / 'a'}: Module 1, epoch 3/4",
        "  best: val_cell_accuracy 0.5 (epoch 2)",
        "  other than the preset small: epochs: 36 → 4",
        f"{folder / 'c'}: Module 2, epoch 2/70",
        "  best: val_eer 0.2 (epoch 1), val_index_eer 0.4 (epoch 1)",
        "  other than the preset paper: nothing",
        f"{folder / 'deep' / 'b'}: Module 1, epoch 1/4",
        "  best: val_cell_accuracy 0.3 (epoch 1)",
        "  other than the first of its module: learning_rate: 0.001 → 0.01; "
        "model.temperature: 0.1 → 0.2",
    ]


def test_a_run_of_an_earlier_version_has_the_defaults_of_what_it_lacks(tmp_path):
    start = begin(DENSE_PRESETS["paper"])
    del start["config"]["run"]["seed"], start["config"]["model"]["temperature"]
    write(tmp_path / "a", start)
    assert "nothing" in summary(runs_below(tmp_path)) and "no epoch" in summary(
        runs_below(tmp_path)
    )


def test_a_folder_without_runs_is_an_error(tmp_path, capsys):
    assert main(["runs", str(tmp_path)]) == 2
    assert "no run in" in capsys.readouterr().err
    assert main(["runs", str(tmp_path / "nowhere")]) == 2
    assert "is not a folder" in capsys.readouterr().err
