"""Training of Module 2, the code of a print, from Module 1's transformer and backbone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from flax import nnx
from jaxtyping import Array

from ifvit.config import MatchConfig
from ifvit.evaluation.plots import det_plot
from ifvit.jax_settings import usual_promotion
from ifvit.models.embedding import MatcherModel
from ifvit.sources.posed import PrintBatch
from ifvit.sources.print_folder import folder_sources
from ifvit.sources.print_synthetic import synthetic_sources
from ifvit.sources.source import Source
from ifvit.training.devices import connect
from ifvit.training.loop import fit
from ifvit.training.print_steps import LOSSES, LossSettings, PrintTrainer, print_step
from ifvit.training.run import open_run
from ifvit.training.task import Lineage, task_of
from ifvit.training.validation import verify
from ifvit.weights.describe import log_parameters
from ifvit.weights.storage import MATCHER_FILE
from ifvit.weights.transfer import (
    load_module1_backbone_weights,
    load_module1_transformer_weights,
    require_module1,
    scratch_lineage,
)

logger = logging.getLogger("ifvit")

VALIDATION_PRINTS = 256
"""Smallest number of prints to validate on, each compared with every other."""


def start_weights(config: MatchConfig) -> tuple[MatcherModel, Lineage]:
    """Build Module 2 with Module 1's transformer in it; return it and its lineage.

    With ``config.start.transfer`` of "backbone" it has Module 1's ResNet18 and matching head too.
    Raises as :func:`ifvit.weights.transfer.require_module1`.
    """
    path, seed = require_module1(config), config.run.seed
    model = MatcherModel(config.model, rngs=nnx.Rngs(seed))
    if path is None:
        logger.info("Module 2, all weights from seed %d: Module 1 was skipped", seed)
        return model, scratch_lineage()
    report = load_module1_transformer_weights(model, path)
    if config.start.transfer == "transformer":
        logger.info("everything else starts at random, from seed %d", seed)
        return model, report.lineage
    load_module1_backbone_weights(model, path)
    *earlier, link = report.lineage
    return model, (*earlier, {**link, "note": f"{link['note']}, its backbone and head too"})


def match_sources(config: MatchConfig) -> tuple[Source[PrintBatch], Source[PrintBatch], int]:
    """Return the training and validation sources that ``config`` names, and the identities."""
    if config.data.dataset_root == "synthetic":
        return (*synthetic_sources(config), config.data.fingers)
    return folder_sources(config, require_module1(config))


def check_classes(config: MatchConfig, fingers: int | None) -> int:
    """Return the number of identities; raises ValueError where the config says another."""
    asked = config.loss.num_classes
    if fingers is None:
        if asked is None:
            raise ValueError("num_classes is not set: say how many identities the source has")
        return asked
    if asked not in (None, fingers):
        raise ValueError(
            f"num_classes is {asked}, but there are {fingers} fingers to train on: "
            "omit --num-classes, or set it to that number"
        )
    return fingers


@usual_promotion()
def train_match(
    config: MatchConfig, sources: tuple[Source[PrintBatch], Source[PrintBatch]] | None = None
) -> Path:
    """Train Module 2 and return the path of its checkpoint.

    ``sources`` (training, validation) replaces the synthetic ones, or the folder, that ``config``
    names; ``num_classes`` must then be set. Raises ValueError and FileNotFoundError as
    :func:`start_weights`, the readers and the loop do.
    """
    connect(config.hardware)
    # Wrong settings are refused before anything is logged, grown or aligned.
    require_module1(config)
    if sources is None and config.data.dataset_root == "synthetic":
        check_classes(config, config.data.fingers)
    path = Path(config.run.checkpoint_dir) / MATCHER_FILE
    with open_run(config, path, lambda metrics: -metrics["val_eer"]) as run:
        train, held, fingers = match_sources(config) if sources is None else (*sources, None)
        num_classes = check_classes(config, fingers)
        model, lineage = start_weights(config)
        own = MatchTask(model, config, num_classes)
        logger.info("Module 2, %d identities", num_classes)
        log_parameters(model)
        task = task_of(own, config, (train, held), lineage, path)
        return fit(task, config, run, {"lineage": list(lineage)})


class MatchTask:
    """The parts of training that are specific to Module 2."""

    losses = LOSSES
    together = 2  # both prints of a finger

    def __init__(self, model: MatcherModel, config: MatchConfig, num_classes: int) -> None:
        """Take the model, its settings, and the number of identities that the source shows."""
        self.model, self.held = model, VALIDATION_PRINTS
        self.trained = PrintTrainer(model, num_classes, rngs=nnx.Rngs(config.run.seed + 1))
        self._settings, self._parts = LossSettings.of(config.loss), config.hardware.accumulate

    def step(self, optimizer: nnx.Optimizer, batch: PrintBatch) -> dict[str, Array]:
        """Take one step on all losses."""
        return print_step(self.trained, optimizer, batch, self._settings, self._parts)

    def validate(self, weights: MatcherModel, batches: Sequence[PrintBatch]) -> dict[str, float]:
        """Compare all validation prints with each other."""
        return verify(weights, batches).metrics()

    def pictures(self, weights: MatcherModel, batches: Sequence[PrintBatch]) -> dict[str, bytes]:
        """Draw the error rates of the validation prints."""
        found = verify(weights, batches)
        return {"DET": det_plot({"dense map": found.maps, "index vector": found.indices})}
