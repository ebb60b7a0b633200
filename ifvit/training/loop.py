"""The training loop of both modules: steps, epochs, validation, checkpoints, and what it prints."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optax
from flax import nnx
from tqdm import tqdm

from ifvit.config import TrainConfig, to_json

NAN_CHECK_EVERY = 20
"""Steps between looks at the losses: each look waits for the device."""


@dataclass(frozen=True)
class Task:
    """What the loop needs to know of a module.

    ``step(i)`` trains on batch i and returns its losses, ``validate()`` returns metrics on fingers
    never trained on, ``save(epoch, step, metrics)`` writes the checkpoint and returns its path.
    """

    losses: tuple[str, ...]
    """Which of the step's metrics the console line shows."""
    step: Callable[[int], dict]
    validate: Callable[[], dict[str, float]]
    save: Callable[[int, int, dict[str, float]], Path]


def make_optimizer(model: nnx.Module, config: TrainConfig) -> nnx.Optimizer:
    """AdamW with warm-up, cosine decay to a hundredth, and clipping of the gradient's norm."""
    total = config.epochs * steps_per_epoch(config)
    schedule = optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=config.learning_rate,
        warmup_steps=max(1, round(config.warmup_fraction * total)),
        decay_steps=max(2, total),
        end_value=0.01 * config.learning_rate,
    )
    adamw = optax.adamw(schedule, weight_decay=config.weight_decay)
    chain = optax.chain(optax.clip_by_global_norm(config.grad_clip), adamw)
    return nnx.Optimizer(model, chain, wrt=nnx.Param)


def steps_per_epoch(config: TrainConfig) -> int:
    """Return the number of batches that ``pairs_per_epoch`` fills, at least one."""
    return max(1, config.pairs_per_epoch // config.batch_size)


def fit(task: Task, config: TrainConfig, directory: Path, extra: dict | None = None) -> Path:
    """Train for ``config.epochs`` epochs; return the path of the last checkpoint.

    Every epoch appends a line to ``metrics.jsonl`` in ``directory``, prints a line, and replaces
    the checkpoint. ``extra`` (weights' origin, counts) goes into the first line. Raises ValueError
    that names the step where a loss is not finite; the last checkpoint then stands.
    """
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "metrics.jsonl"
    _append(log, {"event": "start", "config": json.loads(to_json(config)), **(extra or {})})
    steps = steps_per_epoch(config)
    path = None
    with tqdm(total=config.epochs * steps, unit="step", dynamic_ncols=True, mininterval=1.0) as bar:
        for epoch in range(1, config.epochs + 1):
            start = time.perf_counter()
            metrics = _train_epoch(task, (epoch - 1) * steps, steps, bar)
            seconds = time.perf_counter() - start
            metrics |= task.validate()
            path = task.save(epoch, epoch * steps, metrics)
            _append(log, {"event": "epoch", "epoch": epoch, "seconds": seconds, **metrics})
            bar.write(epoch_line(epoch, config.epochs, metrics, task.losses))
    assert path is not None, "a config has at least one epoch"
    return path


def _train_epoch(task: Task, first: int, steps: int, bar: tqdm) -> dict[str, float]:
    """Run an epoch's steps and return the mean of each loss."""
    waiting: list[dict] = []
    done: list[dict[str, float]] = []
    for index in range(first, first + steps):
        waiting.append(task.step(index))
        bar.update()
        if len(waiting) == NAN_CHECK_EVERY or index == first + steps - 1:
            read = [{name: float(value) for name, value in m.items()} for m in waiting]
            _check_finite(read, index + 1 - len(read))
            done += read
            waiting = []
            bar.set_postfix({name: f"{read[-1][name]:.3f}" for name in task.losses})
    return {name: float(np.mean([m[name] for m in done])) for name in done[0]}


def _check_finite(read: list[dict[str, float]], first: int) -> None:
    for offset, metrics in enumerate(read):
        wrong = [name for name, value in metrics.items() if not np.isfinite(value)]
        if wrong:
            raise ValueError(
                f"{wrong[0]} is {metrics[wrong[0]]} at step {first + offset}: training stopped, "
                "what was saved before stands; lower --learning-rate or look at the "
                f"prints of batch {first + offset}"
            )


def epoch_line(epoch: int, epochs: int, metrics: dict[str, float], losses: tuple[str, ...]) -> str:
    """Return the console line of an epoch: the losses first, then the validation metrics."""
    parts = [f"{name}: {metrics[name]:.3f}" for name in losses]
    parts += [f"{name} {value:.3f}" for name, value in metrics.items() if name.startswith("val_")]
    return f"Epoch {epoch}/{epochs} | " + " | ".join(parts)


def _append(path: Path, line: dict) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
