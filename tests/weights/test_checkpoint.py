import hashlib
import json
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from ifvit.config import DenseConfig, MatchConfig, ModelConfig
from ifvit.models import DenseRegModel
from ifvit.weights import (
    Metadata,
    load_dense,
    load_matcher,
    load_weights,
    read_metadata,
    save_weights,
    sha256_of,
)
from ifvit.weights.describe import describe


def arrays(module: nnx.Module) -> list[np.ndarray]:
    return [np.asarray(x) for x in jax.tree.leaves(nnx.state(module))]


def rewrite(source: Path, target: Path, change) -> Path:
    """Copy a checkpoint with its tensors changed."""
    with safe_open(source, framework="numpy") as file:
        metadata = file.metadata()
    tensors = load_file(source)
    change(tensors)
    save_file(tensors, target, metadata)
    return target


def test_round_trip_is_bit_for_bit(
    dense_ckpt: Path, dense: DenseRegModel, dense_meta: Metadata
) -> None:
    loaded, meta = load_dense(dense_ckpt)
    assert meta == dense_meta == read_metadata(dense_ckpt)
    assert meta.settings() == DenseConfig(model=dense.config)
    for a, b in zip(arrays(dense), arrays(loaded), strict=True):
        np.testing.assert_array_equal(a, b)
    assert loaded.ResNet18.bn1.use_running_average


def test_loaded_model_answers_like_the_saved_one(dense_ckpt: Path, dense: DenseRegModel) -> None:
    loaded, _ = load_dense(dense_ckpt)
    image = jax.random.normal(jax.random.key(0), (1, 32, 32))
    forward = nnx.jit(lambda model, x: model(x, x).log_p)
    expected = forward(nnx.view(dense, use_running_average=True), image)
    np.testing.assert_array_equal(forward(loaded, image), expected)


def test_tensor_names_follow_the_checkpoint_tree(dense_ckpt: Path) -> None:
    names = set(load_file(dense_ckpt))
    assert "params/loftr_transformer/layers/0/q_proj/kernel" in names
    assert "batch_stats/ResNet18/blocks/1/bn2/var" in names
    assert {name.split("/")[0] for name in names} == {"params", "batch_stats"}


def test_equal_checkpoints_have_equal_hashes_and_leave_no_temporary(
    tmp_path: Path, dense: DenseRegModel, dense_meta: Metadata
) -> None:
    first = save_weights(tmp_path / "new" / "a.safetensors", dense, dense_meta)
    second = save_weights(tmp_path / "new" / "b.safetensors", dense, dense_meta)
    assert first == second == sha256_of(tmp_path / "new" / "a.safetensors")
    data = (tmp_path / "new" / "a.safetensors").read_bytes()
    assert first == hashlib.sha256(data).hexdigest()
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"a.safetensors", "b.safetensors"}


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, dense: DenseRegModel, dense_meta: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"old")

    def full_disk(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_weights(path, dense, dense_meta)
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_metrics_may_be_numpy_and_jax_scalars(tmp_path: Path, dense: DenseRegModel) -> None:
    metrics = {"L_D": np.float32(0.5), "acc": jnp.float32(0.25)}
    meta = Metadata.of(DenseConfig(model=dense.config), step=np.int64(7), metrics=metrics)
    save_weights(tmp_path / "a.safetensors", dense, meta)
    back = read_metadata(tmp_path / "a.safetensors")
    assert back.metrics == {"L_D": 0.5, "acc": 0.25} and back.step == 7


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_read_as_float32(tmp_path: Path, dense_ckpt: Path, dtype) -> None:
    def halve(tensors: dict[str, np.ndarray]) -> None:
        tensors.update({name: t.astype(dtype) for name, t in tensors.items()})

    loaded, _ = load_dense(rewrite(dense_ckpt, tmp_path / "half.safetensors", halve))
    full, _ = load_dense(dense_ckpt)
    for a, b in zip(arrays(loaded), arrays(full), strict=True):
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, b.astype(dtype).astype(np.float32))


def test_every_misfit_is_listed_and_the_model_left_alone(
    tmp_path: Path, dense_ckpt: Path, model_config: ModelConfig
) -> None:
    def spoil(tensors: dict[str, np.ndarray]) -> None:
        del tensors["params/ResNet18/conv1/kernel"]
        tensors["params/extra"] = np.zeros(1, np.float32)
        tensors["params/ResNet18/bn1/bias"] = np.zeros(5, np.float32)
        tensors["params/ResNet18/bn1/scale"] = np.full(4, np.nan, np.float32)
        tensors["batch_stats/ResNet18/bn1/mean"] = np.zeros(4, np.int32)

    path = rewrite(dense_ckpt, tmp_path / "bad.safetensors", spoil)
    model = DenseRegModel(model_config, rngs=nnx.Rngs(5))
    before = arrays(model)
    with pytest.raises(ValueError) as error:
        load_weights(path, model)
    assert str(error.value) == (
        f"{path} does not fit its model: params/ResNet18/conv1/kernel is missing; "
        "params/extra has no place in the model; "
        "batch_stats/ResNet18/bn1/mean holds int32, expected floating point; "
        "params/ResNet18/bn1/bias has shape (5,), expected (4,); "
        "params/ResNet18/bn1/scale holds values that are not finite"
    )
    for a, b in zip(before, arrays(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist: expected a checkpoint"):
        load_dense(tmp_path / "none.safetensors")
    with pytest.raises(FileNotFoundError):
        sha256_of(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="is a folder"):
        load_dense(tmp_path)


@pytest.mark.parametrize("keep", [0, 5, 400, -1])
def test_truncated_file_is_one_line(tmp_path: Path, dense_ckpt: Path, keep: int) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(dense_ckpt.read_bytes()[:keep])
    with pytest.raises(ValueError, match="not a readable safetensors file") as error:
        load_dense(path)
    assert "\n" not in str(error.value)


def test_garbage_and_foreign_files(tmp_path: Path) -> None:
    garbage, foreign = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    garbage.write_bytes(b"\xff" * 1000)
    save_file({"x": np.zeros(2, np.float32)}, foreign)
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        read_metadata(garbage)
    with pytest.raises(ValueError, match="without metadata of ifvit"):
        read_metadata(foreign)
    for text, message in (
        ("[", "Expecting value"),
        ("{}", "another version"),
        ("3", "not an object"),
    ):
        save_file({"x": np.zeros(2, np.float32)}, foreign, {"ifvit": text})
        with pytest.raises(ValueError, match=f"cannot be used: .*{message}"):
            read_metadata(foreign)


def test_other_weight_formats_are_named_whatever_they_are_called(tmp_path: Path) -> None:
    np.savez(tmp_path / "loftr.npz", x=np.zeros(2))
    renamed = (tmp_path / "loftr.npz").rename(tmp_path / "dense_reg_ckpt.safetensors")
    with pytest.raises(ValueError, match=r"converted LoFTR weights.*loftr_pretrained_ckpt"):
        load_dense(renamed)
    with zipfile.ZipFile(tmp_path / "outdoor_ds.ckpt", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    with pytest.raises(ValueError, match=r"PyTorch file.*train-dense"):
        load_dense(tmp_path / "outdoor_ds.ckpt")


def test_checkpoint_of_the_other_module(dense_ckpt: Path, matcher_ckpt: Path) -> None:
    with pytest.raises(ValueError) as error:
        load_matcher(dense_ckpt)
    assert str(error.value) == (
        f"{dense_ckpt} is a checkpoint of Module 1 (dense_reg), expected Module 2 (matcher): "
        "pass the matcher_ckpt.safetensors that `ifvit train-match` writes"
    )
    with pytest.raises(ValueError, match=r"of Module 2 \(matcher\), expected Module 1"):
        load_dense(matcher_ckpt)


def test_saving_under_the_wrong_name_is_refused(
    tmp_path: Path, dense: DenseRegModel, matcher_ckpt: Path
) -> None:
    with pytest.raises(ValueError, match="Module 2"):
        save_weights(tmp_path / "a.safetensors", dense, read_metadata(matcher_ckpt))


def test_a_matcher_survives_the_round_trip(matcher_ckpt: Path) -> None:
    matcher, meta = load_matcher(matcher_ckpt)
    assert isinstance(meta.settings(), MatchConfig)
    names = set(load_file(matcher_ckpt))
    assert "params/PoseHead/convs/0/kernel" in names
    assert "batch_stats/EmbeddingHead/cell_norm/mean" in names
    assert not any("loftr_transformer_local" in name for name in names)
    assert matcher.EmbeddingHead.index_norm.use_running_average


@pytest.mark.parametrize("module", ["dense", "matcher"])
def test_a_checkpoint_of_before_the_groups_is_read_and_described(
    module: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """All settings but the model's lay side by side, with some that are of no use any more."""
    path = request.getfixturevalue(f"{module}_ckpt")
    load = load_dense if module == "dense" else load_matcher
    with safe_open(path, framework="numpy") as file:
        record = json.loads(file.metadata()["ifvit"])
    groups = record["config"]
    record["config"] = {"model": groups.pop("model"), "fusion_match": 1.0}
    for own in groups.values():
        record["config"] |= own
    old = tmp_path / "old.safetensors"
    save_file(load_file(path), old, {"ifvit": json.dumps(record)})
    (_, meta), (_, now) = load(old), load(path)
    assert meta.settings() == now.settings()
    assert meta.config == now.config | {"fusion_match": 1.0}
    shown, usual = describe(old), describe(path)
    for line in ("  optim.learning_rate = 0.001", "  run.seed = 0", "  model.d_model = 8"):
        assert line in shown.splitlines() and line in usual.splitlines()
    assert "  fusion_match = 1.0" in shown


def test_a_matcher_that_embedded_pairs_is_refused_by_name(
    tmp_path: Path, matcher_ckpt: Path
) -> None:
    """Of an earlier version: the file is named, and what to do."""
    with safe_open(matcher_ckpt, framework="numpy") as file:
        record = json.loads(file.metadata()["ifvit"])
    record["config"]["share_global_local"] = True
    old = tmp_path / "old_matcher.safetensors"
    save_file(load_file(matcher_ckpt), old, {"ifvit": json.dumps(record)})
    way_out = "embedded pairs of prints: train one with `ifvit train-match`, or use the weights"
    with pytest.raises(ValueError, match=rf"{old.name} cannot be used: .*{way_out}"):
        load_matcher(old)


def test_a_matcher_whose_chain_skips_module_1_cannot_be_made(model_config: ModelConfig) -> None:
    with pytest.raises(ValueError, match="skips Module 1: train it with --pretrained-ckpt"):
        Metadata.of(MatchConfig(model=model_config))
    with pytest.raises(ValueError, match="module 'other' is unknown"):
        Metadata("other", {})
    with pytest.raises(ValueError, match="lineage entry has the keys"):
        Metadata.of(DenseConfig(model=model_config), lineage=({"role": "loftr"},))
