"""Module 1 trains: end to end in two steps, on one batch until it knows it, on a folder."""

import json
from dataclasses import replace

import jax
import numpy as np
import optax
import pytest
from flax import nnx

from ifvit.config import DenseConfig, DenseStartConfig, RunConfig
from ifvit.data.readers import read_dataset
from ifvit.data.store import Canvases, read_canvases
from ifvit.files import sha256_of
from ifvit.models.dense_reg import DenseRegModel
from ifvit.sources.augment import source_side
from ifvit.sources.dense_folder import CorruptionPairs
from ifvit.sources.dense_synthetic import SyntheticPairs
from ifvit.sources.source import first_batches
from ifvit.training import dense
from ifvit.training.dense import cell_accuracy, dense_sources, train_dense
from ifvit.training.steps import dense_step
from ifvit.weights.checkpoint import load_dense, read_metadata
from ifvit.weights.pretrained import DEFAULT, pretrained_files


def values(model: nnx.Module, kind: type[nnx.Variable]) -> list[np.ndarray]:
    return [np.array(leaf) for leaf in jax.tree.leaves(nnx.state(model, kind))]


def same(before: list[np.ndarray], after: list[np.ndarray]) -> list[bool]:
    return [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


def test_a_checkpoint_that_can_be_loaded(dense_ckpt, dense_config, micro):
    model, meta = load_dense(dense_ckpt)
    assert model.config == micro
    assert (meta.epoch, meta.step, meta.settings()) == (1, 2, dense_config)
    assert {"L_D", "L_F", "loss", "val_cell_accuracy", "val_within_one_cell", "val_fine_px"} <= set(
        meta.metrics
    )
    together = (
        meta.metrics["L_D"] + dense_config.loss.lambda_F * meta.metrics["L_F"]
    )  # lambda_D is 1
    assert meta.metrics["loss"] == pytest.approx(together, rel=1e-4)
    start = DenseRegModel(micro, rngs=nnx.Rngs(dense_config.run.seed))
    assert not any(same(values(start, nnx.BatchStat), values(model, nnx.BatchStat)))
    assert not all(same(values(start, nnx.Param), values(model, nnx.Param)))


def test_metrics_are_written_beside_it(dense_ckpt):
    lines = (dense_ckpt.parent / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["start", "epoch"]


def test_the_same_seed_gives_the_same_weights(dense_ckpt, dense_config, masters, micro, tmp_path):
    """With the source passed in, too; a checkpoint that is in the way is kept."""
    source = SyntheticPairs(
        0,
        np.arange(4),
        masters,
        micro,
        max_rotation=dense_config.data.max_rotation,
        turn=dense_config.data.turn,
        impostor_ratio=dense_config.data.impostor_ratio,
    )
    (tmp_path / dense_ckpt.name).write_text("earlier")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense, "VALIDATION_PAIRS", 2)
        config = replace(dense_config, run=RunConfig(str(tmp_path)))
        path = train_dense(config, (source, source))
    models = [load_dense(p)[0] for p in (dense_ckpt, path)]
    assert all(same(*(values(model, nnx.Param) for model in models)))
    assert (tmp_path / "dense_reg_ckpt.1.safetensors").read_text() == "earlier"


def test_training_goes_on_from_an_earlier_module_1(dense_ckpt, dense_config, micro):
    """Every parameter and batch statistic arrives, and the lineage says from where."""
    start = DenseStartConfig(init_from=str(dense_ckpt))
    config = replace(dense_config, start=start)
    model, lineage = dense.start_weights(config)
    earlier, _ = load_dense(dense_ckpt)
    for kind in (nnx.Param, nnx.BatchStat):
        assert all(same(values(earlier, kind), values(model, kind)))
    assert [(link["role"], link["file"]) for link in lineage] == [("dense_reg", dense_ckpt.name)]
    assert lineage[0]["sha256"] == sha256_of(dense_ckpt)
    with pytest.raises(ValueError, match="two starts"):
        two = replace(start, loftr_pretrained_ckpt="loftr.npz")
        dense.start_weights(replace(config, start=two))
    other = replace(config, model=replace(micro, temperature=0.2))
    with pytest.raises(ValueError, match=r"temperature is 0\.1 there and 0\.2 here"):
        dense.start_weights(other)


@pytest.mark.heavy
def test_training_goes_on_from_the_weights_that_ship_by_their_name() -> None:
    shipped = pretrained_files().dense
    model, _ = load_dense(shipped)
    config = DenseConfig(model=model.config, start=DenseStartConfig(init_from=DEFAULT))
    started, lineage = dense.start_weights(config)
    assert all(same(values(model, nnx.Param), values(started, nnx.Param)))
    assert lineage[-1]["sha256"] == sha256_of(shipped)


ADAM = optax.adam(3e-3)
"""One object: a compiled step is found again only for the very same functions."""


@pytest.mark.heavy
def test_one_batch_can_be_learnt(micro, pairs):
    model = DenseRegModel(micro, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, ADAM, wrt=nnx.Param)
    batch = pairs.batch(0, 2)
    assert (np.asarray(batch.matches0) >= 0).sum() > 10
    losses = [float(dense_step(model, optimizer, batch, 1.0, 1.0)["L_D"]) for _ in range(40)]
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.heavy
def test_batch_statistics_move_in_training_and_not_in_validation(micro, pairs):
    model = DenseRegModel(micro, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, ADAM, wrt=nnx.Param)
    before = values(model, nnx.BatchStat)
    dense_step(model, optimizer, pairs.batch(0, 2), 1.0, 1.0)
    trained = values(model, nnx.BatchStat)
    assert not any(same(before, trained))
    measured = cell_accuracy(model, first_batches(pairs, 4, 2))
    assert all(same(trained, values(model, nnx.BatchStat)))
    assert 0 <= measured["cell_accuracy"] <= measured["within_one_cell"] <= 1
    # The model itself still trains: validation used a view.
    dense_step(model, optimizer, pairs.batch(1, 2), 1.0, 1.0)
    assert not any(same(trained, values(model, nnx.BatchStat)))


@pytest.mark.heavy
def test_a_folder_of_prints_trains(dense_config, print_folder, tmp_path, caplog, one_optimizer):
    data = replace(dense_config.data, dataset_root=str(print_folder))
    config = replace(dense_config, data=data, run=RunConfig(str(tmp_path)))
    with pytest.MonkeyPatch.context() as patch, caplog.at_level("INFO", "ifvit"):
        patch.setattr(dense, "VALIDATION_PAIRS", 2)
        path = train_dense(config)
    assert read_metadata(path).metrics["L_D"] > 0
    assert "6 prints of 3 fingers, 1 held out" in caplog.text


@pytest.mark.heavy
def test_folder_batches(dense_config, print_folder):
    data = replace(dense_config.data, dataset_root=str(print_folder))
    train, held = dense_sources(replace(dense_config, data=data))
    assert isinstance(train, CorruptionPairs) and isinstance(held, CorruptionPairs)
    assert (len(train.prints), len(held.prints)) == (4, 2)
    assert held.impostor_ratio == 0
    first, again, other = (train.batch(index, 2) for index in (1, 1, 2))
    np.testing.assert_array_equal(first.image1, again.image1)
    assert not np.array_equal(first.image1, other.image1)
    assert ((np.asarray(held.batch(0, 2).matches0) >= 0).any(1)).all()


@pytest.mark.heavy
def test_two_prints_of_a_finger_are_no_impostors(print_folder, micro):
    listed = [p for p in read_dataset(print_folder) if p.finger == "1"]
    prints = read_canvases(listed, source_side(micro))
    source = CorruptionPairs(prints, micro, seed=0, max_rotation=30.0, impostor_ratio=1.0)
    assert source.batch(0, 2).genuine.all()


@pytest.mark.heavy
def test_an_empty_folder_source_is_refused(micro):
    none = Canvases([], np.zeros(0, int), np.zeros((0, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="no prints to train on"):
        CorruptionPairs(none, micro, seed=0, max_rotation=30.0, impostor_ratio=0.5)
