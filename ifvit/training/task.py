"""A module's own part of training (:class:`ModuleTask`), and the task that the loop runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from flax import nnx

from ifvit.config import TrainConfig
from ifvit.sources.source import Source, first_batches
from ifvit.training.devices import Devices
from ifvit.training.ema import Ema
from ifvit.training.gradients import set_compute
from ifvit.training.loop import Task, make_optimizer
from ifvit.training.prefetch import Prefetch
from ifvit.weights.checkpoint import save_weights
from ifvit.weights.metadata import Metadata

Lineage = tuple[dict[str, str], ...]
"""The files that weights came from, oldest first (:class:`ifvit.weights.metadata.Metadata`)."""


@runtime_checkable
class ModuleTask(Protocol):
    """The parts of training that are specific to one module."""

    @property
    def losses(self) -> tuple[str, ...]:
        """Return the names of the step's losses that the console line shows."""
        ...

    @property
    def model(self) -> nnx.Module:
        """Return the module, which is validated and saved."""
        ...

    @property
    def trained(self) -> nnx.Module:
        """Return everything that a step changes: the module, and what only its training needs."""
        ...

    @property
    def together(self) -> int:
        """Return the number of consecutive rows of a batch that stay on one device."""
        ...

    @property
    def held(self) -> int:
        """Return the smallest number of pairs or prints to validate on."""
        ...

    def step(self, optimizer: nnx.Optimizer, batch: Any) -> dict[str, Any]:
        """Take one step on a batch; return its losses."""
        ...

    def validate(self, weights: Any, batches: Sequence[Any]) -> dict[str, float]:
        """Measure weights, those of ``model`` or their running mean, on validation batches."""
        ...

    def pictures(self, weights: Any, batches: Sequence[Any]) -> Mapping[str, bytes]:
        """Draw pictures of the validation, as PNG by name."""
        ...


def task_of(
    own: ModuleTask,
    config: TrainConfig,
    sources: tuple[Source[Any], Source[Any]],
    lineage: Lineage,
    path: Path,
) -> Task:
    """Return the task that the loop runs, with all that the trainings of both modules share.

    ``sources`` are those of training and of validation, ``path`` is that of the checkpoint.
    """
    train, held = sources
    hardware, optim, size = config.hardware, config.optim, config.optim.batch_size
    set_compute(own.trained, hardware)
    devices, optimizer = Devices(hardware, size, own.together), make_optimizer(own.trained, optim)
    ema = Ema(own.model, optim.ema)
    modules = {"model": own.trained, "optimizer": optimizer, **ema.modules}
    devices.replicate(modules)
    # Once for all epochs.
    batches = [devices.shard(batch) for batch in first_batches(held, own.held, size)]
    prefetch = Prefetch(lambda index: train.batch(index, size), optim.steps, hardware.prefetch)

    def step(index: int) -> dict:
        losses = own.step(optimizer, devices.shard(prefetch(index)))
        ema.follow(index)
        return prefetch.of(losses)

    def save(epoch: int, step: int, metrics: dict[str, float]) -> None:
        meta = Metadata.of(config, epoch=epoch, step=step, metrics=metrics, lineage=lineage)
        save_weights(path, ema.weights, meta)

    return Task(
        own.losses,
        modules,
        path,
        step,
        lambda: own.validate(ema.weights, batches),
        save,
        lambda: own.pictures(ema.weights, batches),
        lambda: prefetch.waited,
    )
