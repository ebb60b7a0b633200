"""Training of Module 1, dense registration."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from flax import nnx
from jaxtyping import Array

from ifvit.config import DenseConfig
from ifvit.jax_settings import usual_promotion
from ifvit.models.dense_reg import DenseRegModel
from ifvit.sources.dense_folder import folder_sources
from ifvit.sources.dense_synthetic import Ease, synthetic_source
from ifvit.sources.masters import VALIDATION_FINGERS
from ifvit.sources.source import Source
from ifvit.sources.truth import PairBatch
from ifvit.training.devices import connect, gathered
from ifvit.training.gradients import as_used
from ifvit.training.loop import fit
from ifvit.training.pictures import match_pictures
from ifvit.training.run import open_run
from ifvit.training.steps import cell_hits, dense_step
from ifvit.training.task import Lineage, task_of
from ifvit.weights.describe import log_parameters
from ifvit.weights.loftr import load_loftr_weights
from ifvit.weights.storage import DENSE_FILE
from ifvit.weights.transfer import load_module1_start

logger = logging.getLogger("ifvit")

VALIDATION_PAIRS = 128

EASIEST = 0.1
"""Share of the full rotation or distortion with which training begins, where these grow."""


def cell_accuracy(model: DenseRegModel, batches: Sequence[PairBatch]) -> dict[str, float]:
    """Measure registration on batches of genuine pairs, in eval mode.

    ``cell_accuracy`` is the share of cells with a true match whose most probable partner is exactly
    that; ``within_one_cell`` counts its eight neighbours too. ``fine_px`` is the mean error of the
    positions of these cells, pixels at 500 ppi, and ``coarse_px`` that before the fine level.
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


def start_weights(config: DenseConfig) -> tuple[DenseRegModel, Lineage]:
    """Build Module 1, from an earlier one or with LoFTR's transformer; return it and its lineage.

    Raises ValueError where both are given, and as :func:`load_module1_start` and
    :func:`ifvit.weights.loftr.load_loftr_weights`.
    """
    model, start = DenseRegModel(config.model, rngs=nnx.Rngs(config.run.seed)), config.start
    if start.init_from is not None:
        if start.loftr_pretrained_ckpt is not None:
            raise ValueError(
                f"init_from={start.init_from} and "
                f"loftr_pretrained_ckpt={start.loftr_pretrained_ckpt} are two starts: give one of "
                "them"
            )
        return model, load_module1_start(model, start.init_from)
    if start.loftr_pretrained_ckpt is None:
        return model, ()
    lineage = load_loftr_weights(
        model, start.loftr_pretrained_ckpt, first_layers=start.loftr_first_layers
    )
    return model, lineage


def dense_sources(config: DenseConfig) -> tuple[Source[PairBatch], Source[PairBatch]]:
    """Return the training and the validation source that ``config`` names."""
    data = config.data
    if data.dataset_root == "synthetic":
        held = synthetic_source(config, VALIDATION_FINGERS, data.val_fingers, genuine_only=True)
        ease = partial(ease_of, config) if data.grows else None
        return synthetic_source(config, 0, data.fingers, ease=ease), held
    if data.grows:
        raise ValueError(
            f"rotation_growth is {data.rotation_growth} and distortion_growth "
            f"{data.distortion_growth}, but only synthetic pairs grow: leave them at 0, or train "
            "on --dataset-root synthetic"
        )
    return folder_sources(config)


def ease_of(config: DenseConfig, index: int) -> Ease:
    """Return how easy batch ``index`` is, by the share of training that has passed."""
    passed = index / config.optim.steps

    def grown(growth: float) -> float:
        return min(1.0, EASIEST + (1 - EASIEST) * passed / growth) if growth else 1.0

    return Ease(grown(config.data.rotation_growth), grown(config.data.distortion_growth))


@usual_promotion()
def train_dense(
    config: DenseConfig, sources: tuple[Source[PairBatch], Source[PairBatch]] | None = None
) -> Path:
    """Train Module 1 and return the path of its checkpoint.

    ``sources`` (training, validation) replaces the ones that ``config`` names. Raises ValueError
    and FileNotFoundError as the readers and the loop do.
    """
    connect(config.hardware)
    # First, so that weights which do not fit are refused before any print is grown or read.
    model, lineage = start_weights(config)
    path = Path(config.run.checkpoint_dir) / DENSE_FILE
    with open_run(config, path, lambda metrics: metrics["val_cell_accuracy"]) as run:
        chosen = sources or dense_sources(config)
        drawn = "parts that were not loaded" if lineage else "all parts"
        logger.info("Module 1; %s are drawn from seed %d", drawn, config.run.seed)
        log_parameters(model)
        task = task_of(DenseTask(model, config), config, chosen, lineage, path)
        return fit(task, config, run, {"lineage": list(lineage)})


class DenseTask:
    """The parts of training that are specific to Module 1."""

    losses = ("L_D", "L_F")
    together = 1

    def __init__(self, model: DenseRegModel, config: DenseConfig) -> None:
        """Take the model, and the weights of the losses and the parts of a batch in ``config``."""
        self.model = self.trained = model
        self.held = VALIDATION_PAIRS
        self._weights = config.loss.lambda_D, config.loss.lambda_F
        self._parts = config.hardware.accumulate

    def step(self, optimizer: nnx.Optimizer, batch: PairBatch) -> dict[str, Array]:
        """Take one step on L_D and L_F."""
        return dense_step(self.model, optimizer, batch, *self._weights, self._parts)

    def validate(self, weights: DenseRegModel, batches: Sequence[PairBatch]) -> dict[str, float]:
        """Measure registration."""
        measured = cell_accuracy(weights, batches)
        return {f"val_{name}": value for name, value in measured.items()}

    def pictures(self, weights: DenseRegModel, batches: Sequence[PairBatch]) -> dict[str, bytes]:
        """Draw the matches of some pairs."""
        return match_pictures(weights, batches[0])
