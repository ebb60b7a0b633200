"""The training loop of both modules: steps, epochs, validation, checkpoints, and what it prints."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx
from tqdm import tqdm

from ifvit.config import OptimConfig, TrainConfig
from ifvit.training.devices import agreed, is_first
from ifvit.training.guard import stop_asked
from ifvit.training.run import Run
from ifvit.training.tensorboard import Pictures, TensorBoard

NAN_CHECK_EVERY = 20
"""Number of steps between two checks of the losses: each check waits for the device."""


@dataclass(frozen=True)
class Task:
    """All that the loop needs of a module's training.

    ``step(i)`` trains on batch i and returns its losses; with ``modules`` in the same state, the
    same step leaves them in the same state again. ``validate()`` returns metrics on fingers never
    trained on, ``save(epoch, step, metrics)`` writes the checkpoint to ``path``.
    """

    losses: tuple[str, ...]
    """Names of the step's losses that the console line shows."""
    modules: Mapping[str, nnx.Pytree]
    """Everything that a step changes: the model and the optimizer."""
    path: Path
    step: Callable[[int], dict]
    validate: Callable[[], dict[str, float]]
    save: Callable[[int, int, dict[str, float]], None]
    pictures: Pictures = dict
    """A function that makes pictures of the validation, for TensorBoard."""
    waited: Callable[[], float] = lambda: 0.0
    """A function that returns the seconds so far for which steps have waited for their batches."""


def make_optimizer(model: nnx.Module, optim: OptimConfig) -> nnx.Optimizer:
    """Return AdamW with warm-up, cosine decay to a hundredth, and clipping of the gradient's norm.

    Backbone and transformer may have other learning rates than the rest.
    """
    schedule = optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=optim.learning_rate,
        warmup_steps=max(1, round(optim.warmup_fraction * optim.steps)),
        decay_steps=max(2, optim.steps),
        end_value=0.01 * optim.learning_rate,
    )
    adamw = optax.adamw(schedule, weight_decay=optim.weight_decay)
    scales = {
        "ResNet18": optim.backbone_lr_scale,
        "loftr_transformer": optim.transformer_lr_scale,
    }
    parts = [
        optax.masked(optax.scale(scale), partial(_of_part, name))
        for name, scale in scales.items()
        if scale != 1
    ]
    chain = optax.chain(optax.clip_by_global_norm(optim.grad_clip), adamw, *parts)
    return nnx.Optimizer(model, chain, wrt=nnx.Param)


def _of_part(name: str, tree: Any) -> Any:
    """Return a tree of booleans: whether each array belongs to a part whose name begins so."""

    def belongs(path: tuple, _: Any) -> bool:
        return any(str(getattr(key, "key", key)).startswith(name) for key in path)

    return jax.tree_util.tree_map_with_path(belongs, tree)


def fit(task: Task, config: TrainConfig, run: Run, extra: dict | None = None) -> Path:
    """Train, from where the run was left, to ``config.optim.epochs`` epochs; return the checkpoint.

    Every epoch appends a line to ``metrics.jsonl``, prints a line, and replaces the checkpoint;
    a state to go on from is written then, and every ``save_minutes``. ``extra`` (weights' origin,
    counts) goes into the first line. Raises ValueError that names the step where a loss is
    not finite, :class:`ifvit.training.guard.Stopped` after Ctrl-C or SIGTERM with the state saved,
    and OSError where it cannot be; what was saved before stands.
    """
    run.start(task.modules, extra or {})
    clock, epochs, steps = run.clock, config.optim.epochs, config.optim.steps_per_epoch
    total = config.optim.steps
    bar = tqdm(
        total=total,
        initial=clock.step,
        unit="step",
        dynamic_ncols=True,
        mininterval=1.0,
        disable=not is_first(),
    )
    board = TensorBoard(run.directory / "tensorboard", config.run.tensorboard, clock.step)
    with stop_asked() as asked, bar, closing(board):
        while clock.step < total:
            start, epoch = time.perf_counter(), clock.step // steps + 1
            waited = task.waited()
            _train_to(epoch * steps, task, run, bar, asked, board)
            seconds = time.perf_counter() - start
            cost = {"seconds": seconds, "data_wait": (task.waited() - waited) / seconds}
            clock.metrics = clock.means() | task.validate()
            if is_first():
                task.save(epoch, clock.step, clock.metrics)
            run.save(task.modules, clock.metrics)
            board.curves(clock.step, clock.metrics)
            board.pictures(clock.step, task.pictures)
            run.record({"event": "epoch", "epoch": epoch, **cost, **clock.metrics})
            if is_first():
                bar.write(epoch_line(epoch, epochs, clock.metrics, task.losses))
            if clock.step < total:
                run.stop_if(*agreed(asked()))
        run.states.wait()
    if is_first() and not task.path.exists():
        task.save(epochs, clock.step, clock.metrics)
    return task.path


def _train_to(
    end: int, task: Task, run: Run, bar: tqdm, asked: Callable[[], int], board: TensorBoard
) -> None:
    """Run the steps up to an epoch's end, and check the losses of several at a time."""
    waiting: list[dict] = []
    alone = jax.process_count() == 1
    while run.clock.step < end:
        waiting.append(task.step(run.clock.step + len(waiting)))
        bar.update()
        last = run.clock.step + len(waiting) == end
        # A single process stops at once; several ask each other only where they wait anyway.
        if not (last or (alone and asked()) or len(waiting) == NAN_CHECK_EVERY):
            continue
        read = [{name: float(value) for name, value in m.items()} for m in waiting]
        _check_finite(read, run.clock.step)
        run.clock.add(read)
        waiting = []
        board.curves(run.clock.step, {f"step_{name}": value for name, value in read[-1].items()})
        bar.set_postfix({name: f"{read[-1][name]:.3f}" for name in task.losses})
        if not last:
            signum, due = agreed(asked(), run.due)
            if signum or due:
                run.save(task.modules)
            run.stop_if(signum)


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
