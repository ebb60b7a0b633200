"""The runs below a folder, from what they have recorded: how far, how good, and what differs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ifvit.config import DenseConfig, MatchConfig, TrainConfig
from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS
from ifvit.training.run import METRICS, differences, merged
from ifvit.weights.settings import grouped, to_json

HIGH_IS_BAD = ("val_eer", "val_index_eer")
"""The metrics of which the lowest is the best."""


@dataclass(frozen=True)
class Recorded:
    """The record of one run in its ``metrics.jsonl``."""

    folder: Path
    config: dict[str, Any]
    """The settings with which it was last started or resumed."""
    epochs: list[dict[str, Any]]
    """One line for each epoch; the later one where an epoch was repeated."""

    @property
    def best(self) -> dict[str, tuple[float, int]]:
        """Return the best value of each validation metric, and its epoch."""
        found: dict[str, tuple[float, int]] = {}
        for line in self.epochs:
            for name in (name for name in line if name.startswith("val_")):
                sign = -1 if name in HIGH_IS_BAD else 1
                if name not in found or sign * line[name] > sign * found[name][0]:
                    found[name] = (line[name], line["epoch"])
        return found


def read_run(path: Path) -> Recorded | None:
    """Read the newest run of a ``metrics.jsonl``; None where there is none, or not of ifvit.

    A line that a killed run left unfinished is passed over.
    """
    config: dict[str, Any] | None = None
    epochs: dict[int, dict[str, Any]] = {}
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
            event = line["event"]
            if event == "start":
                epochs = {}
            if event in ("start", "resume"):
                config = grouped(line["config"])
            elif event == "epoch":
                epochs[line["epoch"]] = line
        except (AttributeError, ValueError, TypeError, KeyError):
            continue
    if config is None or "epochs" not in config.get("optim", {}):
        return None
    return Recorded(path.parent, config, [epochs[number] for number in sorted(epochs)])


def runs_below(folder: str | Path) -> list[Recorded]:
    """Return the runs in a folder and all folders below it, by their path.

    Raises FileNotFoundError where there is no such folder, and ValueError for one without a run.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: expected one with runs below it")
    found = [read_run(path) for path in sorted(Path(folder).rglob(METRICS))]
    runs = [run for run in found if run is not None]
    if not runs:
        raise ValueError(
            f"no run in {folder} or below it: expected the {METRICS} that `ifvit train-dense` or "
            "`ifvit train-match` writes beside its checkpoint"
        )
    return runs


def summary(runs: list[Recorded]) -> str:
    """Return the runs as text: epoch and best metrics, and how settings differ from the first's.

    The first run of a module is compared with the preset that has its networks, or the default
    one; all others with the first.
    """
    lines: list[str] = []
    first: dict[type, dict[str, Any]] = {}
    for run in runs:
        module = MatchConfig if "arcface_scale" in run.config.get("loss", {}) else DenseConfig
        config = merged(json.loads(to_json(module())), run.config)
        done, wanted = len(run.epochs), config["optim"]["epochs"]
        lines.append(
            f"{run.folder}: Module {1 if module is DenseConfig else 2}, epoch {done}/{wanted}"
        )
        best = [
            f"{name} {value:.4g} (epoch {at})" for name, (value, at) in sorted(run.best.items())
        ]
        lines.append("  best: " + (", ".join(best) if best else "no epoch is finished"))
        if module in first:
            than, before = "the first of its module", first[module]
        else:
            presets = DENSE_PRESETS if module is DenseConfig else MATCH_PRESETS
            name, before = _preset_of(config, presets)
            than, first[module] = f"the preset {name}", config
        changed = differences(before, config)
        lines.append(f"  other than {than}: {'; '.join(changed) if changed else 'nothing'}")
    return "\n".join(lines)


def _preset_of(
    config: dict[str, Any], presets: Mapping[str, TrainConfig]
) -> tuple[str, dict[str, Any]]:
    """Return name and settings of the preset with a run's networks, or of ``paper``."""
    known = {name: json.loads(to_json(one)) for name, one in presets.items()}
    name = next((name for name, one in known.items() if one["model"] == config["model"]), "paper")
    return name, known[name]
