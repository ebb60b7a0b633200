"""Module 2 trains from Module 1: lineage, identities, and what is validated."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ifvit.config import MatchLossConfig, MatchStartConfig, RunConfig
from ifvit.files import sha256_of
from ifvit.sources.source import first_batches
from ifvit.training import validation
from ifvit.training.loop import Task
from ifvit.training.match import check_classes, start_weights, train_match
from ifvit.training.validation import verify
from ifvit.weights.checkpoint import load_dense, load_matcher, read_metadata


def values(model: nnx.Module, kind: type[nnx.Variable] = nnx.Variable) -> list[np.ndarray]:
    return [np.array(leaf) for leaf in jax.tree.leaves(nnx.state(model, kind))]


def same(before: list[np.ndarray], after: list[np.ndarray]) -> list[bool]:
    return [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


@pytest.mark.heavy
def test_a_checkpoint_whose_lineage_names_module_1(match_run, match_config, dense_ckpt, micro):
    path, logged = match_run
    model, meta = load_matcher(path)
    assert model.config == micro
    assert (meta.epoch, meta.step, meta.settings()) == (1, 2, match_config)
    losses = {"L_D", "L_P", "L_M", "L_E", "L_A", "loss"}
    assert losses | {"val_eer", "val_index_eer", "val_pose"} == set(meta.metrics)
    (link,) = meta.lineage
    assert (link["role"], link["sha256"]) == ("dense_reg", sha256_of(dense_ckpt))
    assert link["note"].endswith("its backbone and head too")
    assert f"found loftr_transformer of Module 1, epoch 1, in {dense_ckpt}" in logged
    assert "to loftr_transformer_global" in logged
    assert "ResNet18 and DenseMatchingHead as well" in logged
    assert "4 identities" in logged
    start = json.loads((path.parent / "metrics.jsonl").read_text().splitlines()[0])
    assert start["lineage"][0]["sha256"] == sha256_of(dense_ckpt)


@pytest.mark.parametrize("transfer", ["transformer", "backbone"])
@pytest.mark.heavy
def test_it_starts_from_module_1(match_config, dense_ckpt, transfer):
    """Its transformer, as the method says; and, as is usual, what that transformer looks at."""
    start = replace(match_config.start, transfer=transfer)
    model, _ = start_weights(replace(match_config, start=start))
    dense, _ = load_dense(dense_ckpt)
    own = values(model.loftr_transformer_global)
    assert all(same(own, values(dense.loftr_transformer)))
    for part in ("ResNet18", "DenseMatchingHead"):
        found = same(values(getattr(model, part)), values(getattr(dense, part)))
        assert all(found) == (transfer == "backbone"), part


@pytest.mark.heavy
def test_what_is_measured_by_hand(prints, micro, match_run, monkeypatch):
    """Two fingers: maps that tell them apart, index vectors that do not, one pose of three."""
    made = prints.batch(0, 4)
    cells = np.zeros((4, 6, 6, 8), np.float32)
    cells[:2, ..., 0] = cells[2:, ..., 1] = 1.0
    index = np.zeros((4, 8), np.float32)
    index[[0, 2], 0] = index[[1, 3], 1] = 1.0
    core = jnp.array([[40.0, 40.0], [50.0, 50.0], [50.0, 60.0], [200.0, 50.0]])
    rotation = jnp.array([3.1, 0.0, 0.5, 0.0])
    truth = made.pose._replace(core=core, rotation=rotation)
    batch = made._replace(
        pose=truth, posed_mask=jnp.ones((4, 6, 6), bool), label=jnp.array([0, 0, 1, 1])
    )
    # Near over the half turn; 17 px away; 11 degrees away; and a core that the canvas has not.
    pose = truth._replace(
        core=core + jnp.array([[9.0, 0.0], [0.0, 17.0], [0.0, 0.0], [0.0, 0.0]]),
        rotation=jnp.array([3.1 + 0.1 - 2 * np.pi, 0.0, 0.5 + np.deg2rad(11.0), 0.0]),
    )
    monkeypatch.setattr(
        validation, "print_codes", lambda *_: (pose, *map(jnp.asarray, (cells, index)))
    )
    model, _ = load_matcher(match_run[0])
    found = verify(model, [batch])
    assert set(found.metrics()) == {"val_eer", "val_index_eer", "val_pose"}
    assert found.metrics()["val_eer"] == 0
    assert found.metrics()["val_index_eer"] >= 0.5
    assert found.pose == pytest.approx(1 / 3)
    assert len(found.maps[0]) == 2 and len(found.maps[1]) == 4
    assert found.maps[0].min() > found.maps[1].max()
    assert found.indices[0].tolist() == [0.0, 0.0]


@pytest.mark.heavy
def test_verification_leaves_the_model_alone(prints, match_config, match_run):
    model, _ = load_matcher(match_run[0])
    before = values(model)
    batches = first_batches(prints, 8, match_config.optim.batch_size)
    assert len(batches) == 2
    measured = verify(model, batches).metrics()
    assert set(measured) == {"val_eer", "val_index_eer", "val_pose"}
    assert all(0 <= value <= 1 for value in measured.values())
    assert all(same(before, values(model)))


def test_identities_are_counted_or_checked(match_config):
    assert check_classes(match_config, 4) == 4
    assert check_classes(replace(match_config, loss=MatchLossConfig(num_classes=4)), 4) == 4
    assert check_classes(replace(match_config, loss=MatchLossConfig(num_classes=9)), None) == 9
    with pytest.raises(ValueError, match="num_classes is 9, but there are 4 fingers"):
        check_classes(replace(match_config, loss=MatchLossConfig(num_classes=9)), 4)
    with pytest.raises(ValueError, match="num_classes is not set"):
        check_classes(match_config, None)


@pytest.mark.heavy
def test_from_scratch_is_recorded(match_config, prints, tmp_path, monkeypatch):
    """Without the training: only what is saved counts here."""
    config = replace(
        match_config,
        start=MatchStartConfig(from_scratch=True),
        loss=MatchLossConfig(num_classes=4),
        run=RunConfig(str(tmp_path)),
    )

    def save_only(task: Task, *_: Any) -> Path:
        task.save(1, 2, {})
        return task.path

    monkeypatch.setattr("ifvit.training.match.fit", save_only)
    path = train_match(config, (prints, prints))
    assert read_metadata(path).roles == ("scratch",)
