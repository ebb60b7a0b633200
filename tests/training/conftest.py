"""Both modules, trained for two steps each on the shared synthetic fingers."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from flax import nnx

from ifvit.config import (
    DenseConfig,
    DenseDataConfig,
    MatchConfig,
    MatchDataConfig,
    MatchStartConfig,
    OptimConfig,
    RunConfig,
)
from ifvit.sources.dense_synthetic import SyntheticPairs
from ifvit.sources.print_synthetic import SyntheticPrints
from ifvit.training import dense, match, task
from ifvit.training.loop import make_optimizer

FEW = {"fingers": 4, "val_fingers": 4}


@pytest.fixture(scope="session")
def one_optimizer():
    """Let all these trainings share the optimizer that the first one made: a compiled step is
    found again only for the very same functions."""
    made: list[nnx.Optimizer] = []

    def make(model: nnx.Module, optim: OptimConfig) -> nnx.Optimizer:
        made.append(make_optimizer(model, optim))
        return nnx.Optimizer(model, made[0].tx, wrt=nnx.Param)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task, "make_optimizer", make)
        yield


@pytest.fixture(scope="session")
def dense_config(micro, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dense")
    return DenseConfig(
        model=micro,
        data=DenseDataConfig(max_rotation=30.0, **FEW),
        optim=OptimConfig(epochs=1, pairs_per_epoch=4, batch_size=2),
        run=RunConfig(str(folder)),
    )


@pytest.fixture(scope="session")
def dense_ckpt(dense_config, few_masters_per_call, one_optimizer):
    """Module 1's checkpoint, all by ``train_dense`` itself; tests must not change it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense, "VALIDATION_PAIRS", 2)
        return dense.train_dense(dense_config)


@pytest.fixture(scope="session")
def match_config(micro, dense_ckpt, tmp_path_factory):
    folder = tmp_path_factory.mktemp("matcher")
    return MatchConfig(
        model=micro,
        start=MatchStartConfig(pretrained_ckpt=str(dense_ckpt)),
        data=MatchDataConfig(**FEW),
        optim=OptimConfig(epochs=1, pairs_per_epoch=8, batch_size=4),
        run=RunConfig(str(folder)),
    )


@pytest.fixture(scope="session")
def match_run(match_config, few_masters_per_call, one_optimizer):
    """Module 2's checkpoint, all by ``train_match`` itself, and what was logged."""
    records: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())

    logger, keep = logging.getLogger("ifvit"), Keep()
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(keep)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(match, "VALIDATION_PRINTS", 8)
            path = match.train_match(match_config)
            return path, "\n".join(records)
    finally:
        logger.removeHandler(keep)
        logger.setLevel(before)


@pytest.fixture(scope="session")
def pairs(masters, micro):
    """Module 1's source, without impostors."""
    return SyntheticPairs(0, np.arange(4), masters, micro, max_rotation=30.0, impostor_ratio=0.0)


@pytest.fixture(scope="session")
def prints(masters, micro):
    """Module 2's source."""
    return SyntheticPrints(0, np.arange(4), masters, micro)
