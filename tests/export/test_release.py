"""A pair in half precision: what is written, what it says of itself, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file

from ifvit.config import DenseConfig, MatchConfig
from ifvit.export.release import export_pair
from ifvit.models import DenseRegModel, MatcherModel
from ifvit.weights import Metadata, read_metadata, save_weights, sha256_of
from ifvit.weights.describe import describe
from ifvit.weights.modules import load_modules
from ifvit.weights.pretrained import RECORD_FILE, read_record
from ifvit.weights.storage import DENSE_FILE, MATCHER_FILE

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.mark.parametrize("module", [0, 1], ids=["dense", "matcher"])
def test_parameters_are_halved_and_batch_statistics_are_not(trained_pair, exported, module):
    whole = load_file(trained_pair[module])
    half = load_file(exported / "small" / (DENSE_FILE, MATCHER_FILE)[module])
    assert set(half) == set(whole)
    for name, tensor in whole.items():
        kept = name.startswith("batch_stats")
        assert half[name].dtype == (np.float32 if kept else np.float16), name
        if kept:
            np.testing.assert_array_equal(half[name], tensor)
        else:
            limit = np.abs(tensor).max() * 2.0**-11
            np.testing.assert_allclose(half[name].astype(np.float32), tensor, rtol=0, atol=limit)


@pytest.fixture(scope="module")
def dense(micro) -> DenseRegModel:
    return DenseRegModel(micro, rngs=nnx.Rngs(1))


@pytest.fixture(scope="module")
def dense_meta(micro) -> Metadata:
    return Metadata.of(DenseConfig(model=micro))


@pytest.mark.parametrize("value", [7e4, 1e-9], ids=["overflow", "underflow"])
def test_what_float16_cannot_hold_stays_as_it_is(tmp_path, dense, dense_meta, value):
    changed = nnx.clone(dense)
    changed.ResNet18.bn1.scale[...] = np.full_like(changed.ResNet18.bn1.scale[...], value)
    save_weights(tmp_path / "half.safetensors", changed, dense_meta, half=True)
    tensors = load_file(tmp_path / "half.safetensors")
    scale = tensors.pop("params/ResNet18/bn1/scale")
    assert scale.dtype == np.float32
    np.testing.assert_array_equal(scale, np.float32(value))
    assert all(t.dtype == np.float16 for n, t in tensors.items() if n.startswith("params"))


def test_lineage_and_settings_without_folders(trained_pair, exported):
    dense, matcher = (
        read_metadata(exported / "small" / name) for name in (DENSE_FILE, MATCHER_FILE)
    )
    sources = [read_metadata(path) for path in trained_pair]
    assert [dense.roles, matcher.roles] == [("dense_reg",), ("dense_reg", "matcher")]
    for path, source, made in zip(trained_pair, sources, (dense, matcher), strict=True):
        assert made.lineage[:-1] == source.lineage
        assert made.lineage[-1]["sha256"] == sha256_of(path)
        assert (made.epoch, made.metrics) == (source.epoch, source.metrics)
        assert made.settings().model == source.settings().model
        assert str(path.parent) not in json.dumps(made.config)
    assert matcher.config["start"]["pretrained_ckpt"] == DENSE_FILE
    assert "in half precision from here" in describe(exported / "small" / MATCHER_FILE)


def test_the_record_is_of_the_files_beside_it(exported):
    folder = exported / "small"
    record = read_record(folder / RECORD_FILE)
    assert record.name == "small" and (folder / record.model_card).name == "README.md"
    assert (folder / record.model_card).exists()
    assert record.dense_sha256 == sha256_of(folder / DENSE_FILE)
    assert record.matcher_sha256 == sha256_of(folder / MATCHER_FILE)
    assert record.summary.endswith("trained on synthetic prints alone")


def test_equal_checkpoints_give_equal_exports(trained_pair, exported, tmp_path):
    export_pair(*trained_pair, tmp_path / "again", name="small")
    for path in (exported / "small").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_nothing_is_overwritten(trained_pair, exported):
    with pytest.raises(ValueError, match=r"holds exported weights already: remove it"):
        export_pair(*trained_pair, exported / "small")


@pytest.fixture
def stranger(tmp_path, micro):
    """A Module 1 that has nothing to do with the trained pair."""
    path = tmp_path / "stranger.safetensors"
    save_weights(
        path, DenseRegModel(micro, rngs=nnx.Rngs(9)), Metadata.of(DenseConfig(model=micro))
    )
    return path


def test_a_foreign_module_1_is_refused_before_and_after(trained_pair, exported, stranger, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="was not trained from"):
        export_pair(stranger, trained_pair[1], out)
    assert not out.exists()
    module2 = exported / "small" / MATCHER_FILE
    load_modules(trained_pair[0], module2)
    load_modules(exported / "small" / DENSE_FILE, module2)
    with pytest.raises(ValueError, match="was not trained from"):
        load_modules(stranger, module2)


def test_modules_of_two_shapes_are_refused(trained_pair, micro, tmp_path):
    """Module 2 on another canvas than Module 1 can be trained, but not used."""
    other = dataclasses.replace(micro, canvas=64)
    meta = Metadata.of(MatchConfig(model=other), lineage=read_metadata(trained_pair[1]).lineage)
    save_weights(tmp_path / MATCHER_FILE, MatcherModel(other, rngs=nnx.Rngs(1)), meta)
    with pytest.raises(ValueError, match="different shapes"):
        export_pair(trained_pair[0], tmp_path / MATCHER_FILE, tmp_path / "out")
    assert not (tmp_path / "out").exists()
