"""Training of Module 1, dense registration."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from flax import nnx

from ifvit.config import DenseConfig
from ifvit.jax_settings import usual_promotion
from ifvit.models.dense_reg import DenseRegModel
from ifvit.sources.dense_folder import folder_sources
from ifvit.sources.dense_synthetic import Ease, synthetic_source
from ifvit.sources.masters import VALIDATION_FINGERS
from ifvit.sources.truth import PairBatch
from ifvit.training.devices import Devices, connect, gathered
from ifvit.training.ema import Ema
from ifvit.training.gradients import as_used, set_compute
from ifvit.training.loop import Task, fit, make_optimizer, steps_per_epoch
from ifvit.training.pictures import match_pictures
from ifvit.training.prefetch import Prefetch
from ifvit.training.run import open_run
from ifvit.training.steps import cell_hits, dense_step
from ifvit.weights.checkpoint import save_weights
from ifvit.weights.describe import parameter_summary
from ifvit.weights.loftr import load_loftr_weights
from ifvit.weights.metadata import Metadata
from ifvit.weights.storage import DENSE_FILE
from ifvit.weights.transfer import load_module1_start

logger = logging.getLogger("ifvit")

VALIDATION_PAIRS = 128

EASIEST = 0.1
"""Share of rotation or distortion that training begins with, where it grows."""


@runtime_checkable
class DenseSource(Protocol):
    """Whatever makes batches for Module 1."""

    def batch(self, index: int, size: int) -> PairBatch:
        """Return batch ``index``, the same at every call."""
        ...


def validation_batches(source: DenseSource, pairs: int, batch_size: int) -> list[PairBatch]:
    """Make the batches to measure on, once for all epochs: at least ``pairs`` pairs."""
    return [source.batch(i, batch_size) for i in range(-(-pairs // batch_size))]


def cell_accuracy(model: DenseRegModel, batches: Sequence[PairBatch]) -> dict[str, float]:
    """Measure registration on batches of genuine pairs, in eval mode.

    ``cell_accuracy``: share of cells with a true match whose most probable cell is exactly it;
    ``within_one_cell``: or one of its eight neighbours. Of those, ``fine_px`` is the mean error of
    their positions, pixels at 500 ppi, and ``coarse_px`` what it was before the fine level.
    """
    view = as_used(model)
    total = np.sum([gathered(cell_hits(view, batch)) for batch in batches], axis=0)
    exact, near = total[1:3] / max(total[0], 1)
    fine, coarse = total[3:] / max(total[2], 1)
    return {
        "cell_accuracy": float(exact),
        "within_one_cell": float(near),
        "fine_px": float(fine),
        "coarse_px": float(coarse),
    }


def start_weights(config: DenseConfig) -> tuple[DenseRegModel, tuple[dict[str, str], ...]]:
    """Build Module 1, from an earlier one or with LoFTR's transformer; return it and its lineage.

    Raises ValueError where both are given, and as :func:`load_module1_start` and
    :func:`ifvit.weights.loftr.load_loftr_weights`.
    """
    model = DenseRegModel(config.model, rngs=nnx.Rngs(config.seed))
    if config.init_from is not None:
        if config.loftr_pretrained_ckpt is not None:
            raise ValueError(
                f"init_from={config.init_from} and "
                f"loftr_pretrained_ckpt={config.loftr_pretrained_ckpt} are two starts: give one"
            )
        return model, load_module1_start(model, config.init_from)
    if config.loftr_pretrained_ckpt is None:
        return model, ()
    lineage = load_loftr_weights(
        model, config.loftr_pretrained_ckpt, first_layers=config.loftr_first_layers
    )
    return model, lineage


def dense_sources(config: DenseConfig) -> tuple[DenseSource, DenseSource]:
    """Return the training and the validation source that ``config`` names."""
    grows = config.rotation_growth or config.distortion_growth
    if config.dataset_root == "synthetic":
        held = synthetic_source(config, VALIDATION_FINGERS, config.val_fingers, genuine_only=True)
        ease = partial(ease_of, config) if grows else None
        return synthetic_source(config, 0, config.fingers, ease=ease), held
    if grows:
        raise ValueError(
            f"rotation_growth is {config.rotation_growth} and distortion_growth "
            f"{config.distortion_growth}, but only synthetic pairs grow: leave them at 0, or train "
            "on --dataset-root synthetic"
        )
    return folder_sources(config)


def ease_of(config: DenseConfig, index: int) -> Ease:
    """Return how easy batch ``index`` is, by what share of training has passed."""
    passed = index / (config.epochs * steps_per_epoch(config))

    def grown(growth: float) -> float:
        return min(1.0, EASIEST + (1 - EASIEST) * passed / growth) if growth else 1.0

    return Ease(grown(config.rotation_growth), grown(config.distortion_growth))


@usual_promotion()
def train_dense(
    config: DenseConfig, sources: tuple[DenseSource, DenseSource] | None = None
) -> Path:
    """Train Module 1 and return the path of its checkpoint.

    ``sources`` (training, validation) replaces the ones that ``config`` names. Raises ValueError
    and FileNotFoundError as the readers and the loop do.
    """
    connect(config)
    # First, so that weights which do not fit are refused before any print is grown or read.
    model, lineage = start_weights(config)
    path = Path(config.checkpoint_dir) / DENSE_FILE
    with open_run(config, path, lambda metrics: metrics["val_cell_accuracy"]) as run:
        train, held = sources or dense_sources(config)
        task = _task(config, model, lineage, train, held, path)
        return fit(task, config, run, {"lineage": list(lineage)})


def _task(
    config: DenseConfig,
    model: DenseRegModel,
    lineage: tuple[dict[str, str], ...],
    train: DenseSource,
    held: DenseSource,
    path: Path,
) -> Task:
    """Put together what the loop runs."""
    rest = "all else" if lineage else "all weights"
    logger.info("Module 1, %s from seed %d\n%s", rest, config.seed, parameter_summary(model))
    set_compute(model, config)
    devices, optimizer = Devices(config), make_optimizer(model, config)
    ema = Ema(model, config.ema)
    modules = {"model": model, "optimizer": optimizer, **ema.modules}
    devices.replicate(modules)
    batches = [
        devices.shard(batch)
        for batch in validation_batches(held, VALIDATION_PAIRS, config.batch_size)
    ]

    prefetch = Prefetch(lambda index: train.batch(index, config.batch_size), config)

    def step(index: int) -> dict:
        batch = devices.shard(prefetch(index))
        weights = config.lambda_D, config.lambda_F
        losses = dense_step(model, optimizer, batch, *weights, config.accumulate)
        ema.follow(index)
        return prefetch.of(losses)

    def validate() -> dict[str, float]:
        measured = cell_accuracy(ema.weights, batches)
        return {f"val_{name}": value for name, value in measured.items()}

    def save(epoch: int, step: int, metrics: dict[str, float]) -> None:
        meta = Metadata.of(config, epoch=epoch, step=step, metrics=metrics, lineage=lineage)
        save_weights(path, ema.weights, meta)

    def pictures() -> dict[str, bytes]:
        return match_pictures(ema.weights, batches[0])

    return Task(
        ("L_D", "L_F"), modules, path, step, validate, save, pictures, lambda: prefetch.waited
    )
