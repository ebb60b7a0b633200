"""Converted LoFTR weights: read completely or not at all, and merged into Module 1."""

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

from ifvit.config import ModelConfig
from ifvit.models import DenseRegModel
from ifvit.weights import sha256_of
from ifvit.weights.describe import describe
from ifvit.weights.loftr import (
    LoFTRRecord,
    LoFTRWeights,
    load_loftr_weights,
    read_loftr,
    transformer_shapes,
    write_loftr,
)
from ifvit.weights.tensors import parameter_arrays

RECORD = LoFTRRecord("outdoor_ds.ckpt", "cd" * 32, "matcher.loftr_coarse.", 2, 8, 2, True, "stated")


def weights(**changes) -> LoFTRWeights:
    """Random weights that fit the tests' model, unless ``changes`` to the record say otherwise."""
    record = dataclasses.replace(RECORD, **changes)
    rng = np.random.default_rng(record.num_layers)
    shapes = transformer_shapes(record.d_model, record.num_layers)
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return LoFTRWeights(arrays, record)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "loftr_transformer.npz"


@pytest.fixture
def model(model_config: ModelConfig) -> DenseRegModel:
    return DenseRegModel(model_config, rngs=nnx.Rngs(5))


def altered(path: Path, **changes: np.ndarray | None) -> Path:
    """Write a good file with some of its arrays replaced, added, or, for None, left out."""
    write_loftr(path, weights())
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files} | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_shapes_are_those_of_the_model(model):
    arrays = parameter_arrays(model.loftr_transformer)
    assert {name: a.shape for name, a in arrays.items()} == transformer_shapes(8, 2)


def test_every_array_arrives_and_nothing_else_changes(path, model, caplog):
    write_loftr(path, weights())
    before = parameter_arrays(model.ResNet18) | parameter_arrays(model.DenseMatchingHead)
    with caplog.at_level(logging.INFO, "ifvit"):
        source, converted = load_loftr_weights(model, path)
    merged = parameter_arrays(model.loftr_transformer)
    assert set(merged) == set(weights().arrays)
    for name, array in weights().arrays.items():
        assert merged[name].tobytes() == array.tobytes()
    after = parameter_arrays(model.ResNet18) | parameter_arrays(model.DenseMatchingHead)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert "Loaded 20 parameter arrays" in caplog.text
    assert "Merged 20/20 LoFTR parameters" in caplog.text
    assert (source["role"], source["file"], source["sha256"]) == (
        "pytorch",
        "outdoor_ds.ckpt",
        "cd" * 32,
    )
    assert (converted["role"], converted["sha256"]) == ("loftr", sha256_of(path))


@pytest.mark.parametrize(
    ("changes", "pieces"),
    [
        (
            {"d_model": 16},
            ["d_model is 16 in LoFTR and 8 here", "(16, 16) there and (8, 8) here"],
        ),
        ({"num_layers": 4}, ["num_layers is 4 in LoFTR and 2 here", "loftr_first_layers"]),
        ({"num_heads": 4}, ["num_heads is 4 in LoFTR and 2 here", "set model.num_heads=4"]),
        ({"temp_bug_fix": False}, ["temp_bug_fix is False in LoFTR and True here"]),
        (
            {"temp_bug_fix": False, "temp_bug_fix_from": "assumed"},
            ["convert again with --temp-bug-fix"],
        ),
        (
            {"d_model": 16, "num_heads": 4, "num_layers": 6},
            ["set model.d_model=16, model.num_layers=6, model.num_heads=4 for both modules"],
        ),
    ],
)
def test_a_transformer_that_differs_is_refused(path, model, changes, pieces):
    write_loftr(path, weights(**changes))
    before = parameter_arrays(model.loftr_transformer)
    with pytest.raises(ValueError) as error:
        load_loftr_weights(model, path)
    for piece in (str(path), "does not fit this Module 1", *pieces):
        assert piece in str(error.value)
    after = parameter_arrays(model.loftr_transformer)
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)


def test_a_deeper_model_cannot_be_filled_even_by_first_layers(path, model_config):
    write_loftr(path, weights())
    deep = DenseRegModel(dataclasses.replace(model_config, num_layers=4), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="num_layers is 2 in LoFTR and 4 here"):
        load_loftr_weights(deep, path, first_layers=True)


def test_a_shallower_model_takes_the_first_layers_when_asked(path, model, caplog):
    deep = weights(num_layers=4)
    write_loftr(path, deep)
    with caplog.at_level(logging.INFO, "ifvit"):
        _, converted = load_loftr_weights(model, path, first_layers=True)
    merged = parameter_arrays(model.loftr_transformer)
    assert len(merged) == 20
    assert all(merged[name].tobytes() == deep.arrays[name].tobytes() for name in merged)
    assert "Loaded 40 parameter arrays" in caplog.text and "Merged 20/20" in caplog.text
    assert "the first 2 taken" in converted["note"]


def test_the_generic_transformer_takes_none(path, model_config):
    write_loftr(path, weights())
    generic = DenseRegModel(dataclasses.replace(model_config, use_loftr=False), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="use_loftr is True in LoFTR and False here"):
        load_loftr_weights(generic, path)


def test_unknown_heads_are_taken_from_the_model_and_said(path, model, caplog):
    write_loftr(path, weights(num_heads=None))
    load_loftr_weights(model, path)
    assert "a wrong number cannot be noticed: took num_heads=2" in caplog.text


def test_half_precision_is_read_as_float32(path):
    half = {name: array.astype(np.float16) for name, array in weights().arrays.items()}
    write_loftr(path, LoFTRWeights(half, RECORD))
    arrays = read_loftr(path).arrays
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    assert np.array_equal(arrays["layers/0/merge/kernel"], half["layers/0/merge/kernel"])


def test_missing_extra_and_wrong_arrays_are_all_named(path):
    altered(
        path,
        **{
            "layers/0/q_proj/kernel": None,
            "layers/0/q_proj/bias": np.zeros(8, np.float32),
            "layers/1/merge/kernel": np.zeros((8, 7), np.float32),
            "layers/1/norm1/scale": np.full(8, np.nan, np.float32),
        },
    )
    with pytest.raises(ValueError) as error:
        read_loftr(path)
    for piece in (
        "layers/0/q_proj/kernel is missing",
        "layers/0/q_proj/bias has no place",
        "layers/1/merge/kernel has shape (8, 7), expected (8, 8)",
        "layers/1/norm1/scale holds values that are not finite",
    ):
        assert piece in str(error.value)


def test_python_objects_are_never_loaded(path):
    class Boom:
        def __reduce__(self):
            return pytest.fail, ("an object was unpickled",)

    altered(path, **{"layers/0/merge/kernel": np.array([Boom()], dtype=object)})
    with pytest.raises(ValueError, match="holds Python objects, which are never loaded"):
        read_loftr(path)


def record_text(**changes) -> np.ndarray:
    return np.array(json.dumps(dataclasses.asdict(RECORD) | changes))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (None, "without a record of ifvit"),
        (np.array("{"), "record that this version cannot read"),
        (np.array("[1]"), "record that this version cannot read"),
        (record_text(colour="red"), "record that this version cannot read"),
        (record_text(d_model="8"), "record that this version cannot read"),
        (record_text(num_layers=0), "record that this version cannot read .0 layers"),
        (record_text(num_layers=10**9), "1000000000 layers .* is missing"),
    ],
)
def test_a_record_that_cannot_be_believed(path, record, message):
    with pytest.raises(ValueError, match=message):
        read_loftr(altered(path, ifvit=record))


def test_damaged_and_other_files(path, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected converted LoFTR weights, the \.npz"):
        read_loftr(path)
    write_loftr(path, weights())
    whole = path.read_bytes()
    for cut in (whole[:0], whole[:1000], whole[:-10]):
        path.write_bytes(cut)
        with pytest.raises(ValueError, match=r"cannot be read \(damaged or no"):
            read_loftr(path)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    path.write_bytes(flipped)
    with pytest.raises(ValueError, match=r"cannot be read|does not hold what its record says"):
        read_loftr(path)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"cannot be read"):
        read_loftr(tmp_path / "one.npy")


def test_a_pytorch_file_is_to_be_converted_first(tmp_path):
    import torch

    torch.save({"a": torch.zeros(2)}, tmp_path / "outdoor_ds.ckpt")
    with pytest.raises(ValueError, match="convert it first, ifvit convert-loftr --pytorch-ckpt"):
        read_loftr(tmp_path / "outdoor_ds.ckpt")


def test_a_converted_file_is_described(path):
    write_loftr(path, weights(num_heads=None))
    text = describe(path)
    for piece in (
        "20 parameter arrays",
        "2 layers (self, cross × 1), d=8",
        "heads: not known",
        "temp_bug_fix=True (stated)",
        "cd" * 32,
        sha256_of(path),
    ):
        assert piece in text
