"""Training of Module 2, the code of a print, from Module 1's transformer and backbone."""

from __future__ import annotations

import logging
from pathlib import Path

from flax import nnx

from ifvit.config import MatchConfig
from ifvit.evaluation.plots import det_plot
from ifvit.jax_settings import usual_promotion
from ifvit.models.embedding import MatcherModel
from ifvit.sources.print_folder import folder_sources
from ifvit.sources.print_synthetic import synthetic_sources
from ifvit.training.devices import Devices, connect
from ifvit.training.ema import Ema
from ifvit.training.gradients import set_compute
from ifvit.training.loop import Task, fit, make_optimizer
from ifvit.training.prefetch import Prefetch
from ifvit.training.print_steps import LOSSES, LossSettings, PrintTrainer, print_step
from ifvit.training.run import open_run
from ifvit.training.validation import PrintSource, validation_prints, verify
from ifvit.weights.checkpoint import save_weights
from ifvit.weights.describe import parameter_summary
from ifvit.weights.metadata import Metadata
from ifvit.weights.storage import MATCHER_FILE
from ifvit.weights.transfer import (
    load_module1_backbone_weights,
    load_module1_transformer_weights,
    require_module1,
    scratch_lineage,
)

logger = logging.getLogger("ifvit")

VALIDATION_PRINTS = 256
"""Prints to validate on at least, each compared with every other."""


def start_weights(config: MatchConfig) -> tuple[MatcherModel, tuple[dict[str, str], ...]]:
    """Build Module 2 with Module 1's transformer in it; return it and its lineage.

    With ``config.transfer`` of "backbone" it has Module 1's ResNet18 and matching head too.
    Raises as :func:`ifvit.weights.transfer.require_module1`.
    """
    path = require_module1(config)
    model = MatcherModel(config.model, rngs=nnx.Rngs(config.seed))
    if path is None:
        logger.info("Module 2, all weights from seed %d: Module 1 was skipped", config.seed)
        return model, scratch_lineage()
    report = load_module1_transformer_weights(model, path)
    if config.transfer == "transformer":
        logger.info("everything else starts at random, from seed %d", config.seed)
        return model, report.lineage
    load_module1_backbone_weights(model, path)
    *earlier, link = report.lineage
    return model, (*earlier, {**link, "note": f"{link['note']}, its backbone and head too"})


def match_sources(config: MatchConfig) -> tuple[PrintSource, PrintSource, int]:
    """Return the training and validation sources that ``config`` names, and the identities."""
    if config.dataset_root == "synthetic":
        return (*synthetic_sources(config), config.fingers)
    return folder_sources(config, require_module1(config))


def check_classes(config: MatchConfig, fingers: int | None) -> int:
    """Return the number of identities; raises ValueError where the config says another."""
    if fingers is None:
        if config.num_classes is None:
            raise ValueError("num_classes is not set: say how many identities the source has")
        return config.num_classes
    if config.num_classes not in (None, fingers):
        raise ValueError(
            f"num_classes is {config.num_classes}, but there are {fingers} fingers to train on: "
            "leave --num-classes away, or set it to that"
        )
    return fingers


@usual_promotion()
def train_match(
    config: MatchConfig, sources: tuple[PrintSource, PrintSource] | None = None
) -> Path:
    """Train Module 2 and return the path of its checkpoint.

    ``sources`` (training, validation) replaces the synthetic ones, or the folder, that ``config``
    names; ``num_classes`` must then be set. Raises ValueError and FileNotFoundError as
    :func:`start_weights`, the readers and the loop do.
    """
    connect(config)
    # What can be refused is refused before anything is logged, grown or aligned.
    require_module1(config)
    if sources is None and config.dataset_root == "synthetic":
        check_classes(config, config.fingers)
    path = Path(config.checkpoint_dir) / MATCHER_FILE
    with open_run(config, path, lambda metrics: -metrics["val_eer"]) as run:
        train, held, fingers = match_sources(config) if sources is None else (*sources, None)
        num_classes = check_classes(config, fingers)
        model, lineage = start_weights(config)
        task = _task(config, model, lineage, num_classes, (train, held), path)
        return fit(task, config, run, {"lineage": list(lineage)})


def _task(
    config: MatchConfig,
    model: MatcherModel,
    lineage: tuple[dict[str, str], ...],
    num_classes: int,
    sources: tuple[PrintSource, PrintSource],
    path: Path,
) -> Task:
    """Put together what the loop runs."""
    train, held = sources
    trainer = PrintTrainer(model, num_classes, rngs=nnx.Rngs(config.seed + 1))
    logger.info("Module 2, %d identities\n%s", num_classes, parameter_summary(model))
    set_compute(trainer, config)
    # Both prints of a finger go to one device.
    devices, optimizer = Devices(config, together=2), make_optimizer(trainer, config)
    ema = Ema(model, config.ema)
    modules = {"model": trainer, "optimizer": optimizer, **ema.modules}
    devices.replicate(modules)
    batches = [devices.shard(batch) for batch in validation_prints(held, config, VALIDATION_PRINTS)]
    settings = LossSettings.of(config)
    prefetch = Prefetch(lambda index: train.batch(index, config.batch_size), config)

    def step(index: int) -> dict:
        batch = devices.shard(prefetch(index))
        losses = print_step(trainer, optimizer, batch, settings, config.accumulate)
        ema.follow(index)
        return prefetch.of(losses)

    def validate() -> dict[str, float]:
        return verify(ema.weights, batches).metrics()

    def save(epoch: int, step: int, metrics: dict[str, float]) -> None:
        meta = Metadata.of(config, epoch=epoch, step=step, metrics=metrics, lineage=lineage)
        save_weights(path, ema.weights, meta)

    def pictures() -> dict[str, bytes]:
        found = verify(ema.weights, batches)
        return {"DET": det_plot({"dense map": found.maps, "index vector": found.indices})}

    return Task(LOSSES, modules, path, step, validate, save, pictures, lambda: prefetch.waited)
