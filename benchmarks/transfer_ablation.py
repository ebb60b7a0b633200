"""Does the golden rule pay? Training from transferred weights against training from random ones.

Usage: ``python benchmarks/transfer_ablation.py --out runs/ablation``, with ``--loftr FILE.npz
--loftr-heads N`` for the first link too. Every run of one comparison and seed sees the same
batches for the same number of steps and is measured on the same pairs; only the start differs. A
run that is complete in ``--out`` is not repeated. ``--docs docs`` writes table and plot there.

- *Module 1 from LoFTR*: the ``tiny`` preset with the transformer's shape of the LoFTR file, that
  transformer from the file or at random. Measured: cell accuracy on fingers never trained on.
- *Module 2 from Module 1*: the ``tiny`` preset, transformer from a Module 1 (trained here once) or
  at random; and, beyond the method, Module 1's backbone and matching head too. Measured: equal
  error rate of the dense maps, every validation print with every other.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ifvit.config import (
    DenseStartConfig,
    MatchLossConfig,
    MatchStartConfig,
    OptimConfig,
    RunConfig,
)
from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS
from ifvit.training.dense import dense_sources, train_dense
from ifvit.training.match import match_sources, train_match
from ifvit.weights.loftr import read_loftr
from ifvit.weights.storage import DENSE_FILE

DENSE = replace(
    DENSE_PRESETS["tiny"], optim=OptimConfig(epochs=10, pairs_per_epoch=400, batch_size=8)
)
MATCH = replace(
    MATCH_PRESETS["tiny"], optim=OptimConfig(epochs=4, pairs_per_epoch=640, batch_size=16)
)


@dataclass(frozen=True)
class Comparison:
    """Arms that differ in their start alone."""

    name: str
    title: str
    metric: str
    arms: dict[str, Callable[[int, Path], Any]]
    """By name: a function of seed and folder that trains."""
    steps: int
    """Steps between two measurements."""
    sign: int = 1
    """-1 where the lower of two values is the better one."""


class Kept:
    """A source of batches that remembers them: all arms of a seed train on the very same ones."""

    def __init__(self, source: Any) -> None:
        """Wrap a Module 1 or a Module 2 source."""
        self._make = cache(source.batch)

    def batch(self, *arguments: Any) -> Any:
        """Return a batch."""
        return self._make(*arguments)


def in_folder(config: Any, seed: int, folder: Path = Path()) -> Any:
    """Return the settings of a training of either module with a seed and a folder of its own."""
    return replace(config, run=RunConfig(str(folder), seed=seed))


def compare_module1(loftr: Path, heads: int, epochs: int) -> Comparison:
    """Module 1 with a LoFTR file's transformer against the same shape at random."""
    record = read_loftr(loftr).record
    shape = replace(
        DENSE.model,
        d_model=record.d_model,
        num_layers=record.num_layers,
        num_heads=record.num_heads or heads,
        temp_bug_fix=record.temp_bug_fix,
    )
    optim = replace(DENSE.optim, epochs=epochs, pairs_per_epoch=160)
    base = replace(DENSE, model=shape, optim=optim)
    sources = cache(lambda seed: tuple(map(Kept, dense_sources(in_folder(base, seed)))))

    def train(start: str | None, seed: int, folder: Path) -> None:
        config = replace(base, start=DenseStartConfig(loftr_pretrained_ckpt=start))
        train_dense(in_folder(config, seed, folder), sources(seed))

    arms = {"LoFTR": partial(train, str(loftr)), "random": partial(train, None)}
    title = "Module 1: where its transformer starts"
    return Comparison("module1", title, "val_cell_accuracy", arms, optim.pairs_per_epoch // 8)


def compare_module2(dense_ckpt: Path, epochs: int) -> Comparison:
    """Module 2 with Module 1's transformer against random."""
    optim = replace(MATCH.optim, epochs=epochs, pairs_per_epoch=320)
    base = replace(MATCH, optim=optim, loss=MatchLossConfig(num_classes=MATCH.data.fingers))
    from_module1 = MatchStartConfig(pretrained_ckpt=str(dense_ckpt))
    any_start = replace(base, start=from_module1)
    sources = cache(lambda seed: match_sources(in_folder(any_start, seed))[:2])
    kept = cache(lambda seed: tuple(map(Kept, sources(seed))))

    def train(start: MatchStartConfig, seed: int, folder: Path) -> None:
        train_match(in_folder(replace(base, start=start), seed, folder), kept(seed))

    arms = {
        "Module 1's transformer": replace(from_module1, transfer="transformer"),
        "random": MatchStartConfig(from_scratch=True),
        "its backbone and head too": replace(from_module1, transfer="backbone"),
    }
    trained = {name: partial(train, start) for name, start in arms.items()}
    title = "Module 2: what it starts from"
    steps = optim.steps_per_epoch
    return Comparison("module2", title, "val_eer", trained, steps, sign=-1)


def trained_module1(folder: Path) -> Path:
    """Return the checkpoint of a ``tiny`` Module 1 in ``folder``, trained if it is not there."""
    config = in_folder(DENSE, 100, folder)
    if len(curve(folder, "val_cell_accuracy")) != config.optim.epochs:
        shutil.rmtree(folder, ignore_errors=True)
        train_dense(config)
    return folder / DENSE_FILE


def curve(folder: Path, metric: str) -> list[float]:
    """Return a run's metric after each epoch; empty for a run that is not there."""
    log = folder / "metrics.jsonl"
    if not log.exists():
        return []
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return [event[metric] for event in events if event["event"] == "epoch"]


def run(comparison: Comparison, out: Path, seeds: int, epochs: int) -> dict[str, list[list[float]]]:
    """Train what is not there yet; return each arm's curves, one for each seed."""
    curves: dict[str, list[list[float]]] = {name: [] for name in comparison.arms}
    for seed in range(seeds):
        for number, (name, train) in enumerate(comparison.arms.items()):
            folder = out / comparison.name / f"arm{number}_seed{seed}"
            if len(curve(folder, comparison.metric)) != epochs:
                shutil.rmtree(folder, ignore_errors=True)
                print(f"{comparison.name}, seed {seed}, from {name}", flush=True)
                train(seed, folder)
            curves[name].append(curve(folder, comparison.metric))
    return curves


def table(comparison: Comparison, curves: dict[str, list[list[float]]]) -> str:
    """Markdown: the metric on the way and at the end, mean ± deviation over the seeds."""
    epochs = len(next(iter(curves.values()))[0])
    marks = sorted({1, max(1, epochs // 3), max(1, 2 * epochs // 3), epochs})
    head = ["start", *(f"{mark * comparison.steps} steps" for mark in marks), "better than random"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, runs in curves.items():
        cells = [name]
        for mark in marks:
            values = [run[mark - 1] for run in runs]
            cells.append(f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}")
        pairs = zip(runs, curves["random"], strict=True)
        wins = sum(comparison.sign * (own[-1] - other[-1]) > 0 for own, other in pairs)
        cells.append("" if name == "random" else f"{wins} of {len(runs)} seeds, at the end")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(results: list[tuple[Comparison, dict[str, list[list[float]]]]], path: Path) -> None:
    """Draw the mean curve of each arm, and those of its seeds behind it."""
    figure = Figure(figsize=(5.2 * len(results), 3.9), layout="constrained")
    for number, (comparison, curves) in enumerate(results):
        axes = figure.add_subplot(1, len(results), number + 1)
        for color, (name, runs) in enumerate(curves.items()):
            steps = [comparison.steps * (i + 1) for i in range(len(runs[0]))]
            for values in runs:
                axes.plot(steps, values, color=f"C{color}", alpha=0.25, linewidth=1)
            mean = [statistics.mean(at) for at in zip(*runs, strict=True)]
            axes.plot(steps, mean, color=f"C{color}", linewidth=2, label=name)
        axes.set(title=comparison.title, xlabel="training steps of 8 pairs")
        axes.set_ylabel(
            f"{comparison.metric.removeprefix('val_').replace('_', ' ')}, unseen fingers"
        )
        axes.grid(True, color="0.92")
        axes.legend(title="start", loc="lower right")
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    """Run the comparisons and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6, help="measurements, 20 steps apart")
    parser.add_argument("--loftr", type=Path, help="converted LoFTR weights, for Module 1")
    parser.add_argument("--loftr-heads", type=int, default=8, help="where the file has none")
    parser.add_argument("--docs", type=Path, help="folder to write table and plot to")
    options = parser.parse_args()
    start = time.perf_counter()
    logging.basicConfig(level=logging.WARNING)

    comparisons = [compare_module2(trained_module1(options.out / "dense_reg"), options.epochs)]
    if options.loftr is not None:
        first = compare_module1(options.loftr, options.loftr_heads, options.epochs)
        comparisons.insert(0, first)
    results = [(c, run(c, options.out, options.seeds, options.epochs)) for c in comparisons]
    text = "\n\n".join(f"**{c.title}** ({c.metric})\n\n{table(c, curves)}" for c, curves in results)
    print(f"\n{text}\n\n{(time.perf_counter() - start) / 60:.0f} minutes")
    if options.docs is not None:
        plot(results, options.docs / "img" / "transfer_ablation.png")
        (options.docs / "results" / "transfer_ablation.md").write_text(text + "\n")


if __name__ == "__main__":
    main()
