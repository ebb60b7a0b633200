import dataclasses
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx

from ifvit.config import DenseConfig, MatchConfig, MatchStartConfig, ModelConfig
from ifvit.models import DenseRegModel, MatcherModel
from ifvit.weights import (
    Metadata,
    load_module1_backbone_weights,
    load_module1_transformer_weights,
    require_module1,
    save_weights,
    scratch_lineage,
    sha256_of,
)


def starting(model: ModelConfig, **start: Any) -> MatchConfig:
    return MatchConfig(model=model, start=MatchStartConfig(**start))


def leaves(module: nnx.Module) -> list[bytes]:
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(nnx.state(module, nnx.Param))]


def test_every_byte_of_the_transformer_arrives(
    model_config: ModelConfig,
    dense: DenseRegModel,
    dense_ckpt: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    matcher = MatcherModel(model_config, rngs=nnx.Rngs(9))
    backbone, wanted = leaves(matcher.ResNet18), leaves(dense.loftr_transformer)
    assert leaves(matcher.loftr_transformer_global) != wanted
    with caplog.at_level(logging.INFO, logger="ifvit"):
        report = load_module1_transformer_weights(matcher, dense_ckpt)
    assert leaves(matcher.loftr_transformer_global) == wanted
    assert leaves(matcher.ResNet18) == backbone
    # Two layers of ten arrays: 4 d² + (2d)² + 2d·d + 4 d = 10 d² + 4 d parameters each, d = 8.
    assert (report.num_arrays, report.num_params) == (20, 2 * (10 * 64 + 4 * 8))
    assert f"epoch 3, in {dense_ckpt}" in caplog.text
    assert "copied 20 arrays, 1344 parameters, to loftr_transformer_global" in caplog.text
    assert "refuse" not in caplog.text


def test_modules_that_no_match_takes_together_are_told_of_before_training(
    model_config: ModelConfig, dense_ckpt: Path, caplog: pytest.LogCaptureFixture
) -> None:
    canvas = model_config.canvas + 8
    other = dataclasses.replace(model_config, canvas=canvas)
    load_module1_transformer_weights(MatcherModel(other, rngs=nnx.Rngs(9)), dense_ckpt)
    assert "`ifvit match` will refuse both together: canvas is" in caplog.text
    assert f"and {canvas} in Module 2" in caplog.text


def test_the_backbone_comes_too_when_asked_for(
    model_config: ModelConfig, dense: DenseRegModel, dense_ckpt: Path
) -> None:
    matcher = MatcherModel(model_config, rngs=nnx.Rngs(9))
    heads = leaves(matcher.EmbeddingHead), leaves(matcher.PoseHead)
    copied = load_module1_backbone_weights(matcher, dense_ckpt)
    assert leaves(matcher.ResNet18) == leaves(dense.ResNet18)
    assert leaves(matcher.DenseMatchingHead) == leaves(dense.DenseMatchingHead)
    assert (leaves(matcher.EmbeddingHead), leaves(matcher.PoseHead)) == heads
    statistics = [nnx.state(m.ResNet18, nnx.BatchStat) for m in (matcher, dense)]
    same = jax.tree.map(np.array_equal, *statistics)
    assert all(jax.tree.leaves(same))
    assert copied > sum(x.size for x in jax.tree.leaves(nnx.state(dense.ResNet18, nnx.Param)))


def test_a_backbone_of_another_width_is_refused(
    model_config: ModelConfig, dense_ckpt: Path
) -> None:
    wider = dataclasses.replace(model_config, backbone_widths=(8, 8, 24))
    matcher = MatcherModel(wider, rngs=nnx.Rngs(9))
    with pytest.raises(ValueError, match=r"backbone_widths is .* in Module 1 and \(8, 8, 24\)"):
        load_module1_backbone_weights(matcher, dense_ckpt)


def test_lineage_grows_oldest_first(model_config: ModelConfig, dense_ckpt: Path) -> None:
    matcher = MatcherModel(model_config, rngs=nnx.Rngs(9))
    loftr, module1 = load_module1_transformer_weights(matcher, dense_ckpt).lineage
    assert loftr["role"] == "loftr"
    assert module1 == {
        "role": "dense_reg",
        "file": "dense_reg_ckpt.safetensors",
        "sha256": sha256_of(dense_ckpt),
        "note": "Module 1, epoch 3",
    }
    Metadata.of(MatchConfig(model=model_config), lineage=(loftr, module1))


def test_mistake_1_loftr_weights_given_to_module_2(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    path = tmp_path / "loftr_transformer.npz"
    np.savez(path, x=np.zeros(3))
    message = "never loads directly: train Module 1 .*loftr_pretrained_ckpt"
    with pytest.raises(ValueError, match=message):
        require_module1(starting(model_config, pretrained_ckpt=str(path)))
    with pytest.raises(ValueError, match=message):
        load_module1_transformer_weights(MatcherModel(model_config, rngs=nnx.Rngs(0)), path)


def test_mistake_2_no_module_1(
    tmp_path: Path, model_config: ModelConfig, matcher_ckpt: Path
) -> None:
    with pytest.raises(ValueError, match=r"pretrained_ckpt is not set: pass .*--from-scratch"):
        require_module1(MatchConfig(model=model_config))
    missing = str(tmp_path / "none.safetensors")
    with pytest.raises(FileNotFoundError, match="expected Module 1's checkpoint"):
        require_module1(starting(model_config, pretrained_ckpt=missing))
    with pytest.raises(ValueError, match=r"of Module 2 \(matcher\), expected Module 1"):
        require_module1(starting(model_config, pretrained_ckpt=str(matcher_ckpt)))


def test_from_scratch_is_explicit_and_recorded(model_config: ModelConfig, dense_ckpt: Path) -> None:
    assert require_module1(starting(model_config, from_scratch=True)) is None
    assert scratch_lineage()[0]["role"] == "scratch"
    with pytest.raises(ValueError, match="contradict"):
        require_module1(starting(model_config, from_scratch=True, pretrained_ckpt=str(dense_ckpt)))


def test_a_good_checkpoint_passes(model_config: ModelConfig, dense_ckpt: Path) -> None:
    config = starting(model_config, pretrained_ckpt=str(dense_ckpt))
    assert require_module1(config) == dense_ckpt


@pytest.mark.parametrize(
    ("name", "value", "here"),
    [
        ("use_loftr", False, True),
        ("d_model", 16, 8),
        ("num_layers", 4, 2),
        ("num_heads", 4, 2),
        ("temp_bug_fix", False, True),
        ("ppi", 500, 250),
    ],
)
def test_mistake_3_transformers_that_differ(
    model_config: ModelConfig, dense_ckpt: Path, name: str, value: int, here: int
) -> None:
    other = ModelConfig(**{**vars(model_config), name: value})
    with pytest.raises(ValueError) as error:
        require_module1(starting(other, pretrained_ckpt=str(dense_ckpt)))
    assert f"{name} is {here} in Module 1 and {value} in Module 2" in str(error.value)
    assert f"set model.{name}={here} for Module 2" in str(error.value)
    assert "\n" not in str(error.value)


def test_mistake_3_is_caught_by_the_transfer_itself(
    model_config: ModelConfig, dense_ckpt: Path
) -> None:
    other = ModelConfig(**{**vars(model_config), "use_loftr": False})
    with pytest.raises(ValueError, match="use_loftr is True in Module 1 and False in Module 2"):
        load_module1_transformer_weights(MatcherModel(other, rngs=nnx.Rngs(0)), dense_ckpt)


def test_mistake_4_a_copy_that_did_nothing(
    model_config: ModelConfig, dense_ckpt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matcher = MatcherModel(model_config, rngs=nnx.Rngs(9))
    update = nnx.update

    def forgetful(node: nnx.Module, state: nnx.State) -> None:
        if node is not matcher.loftr_transformer_global:
            update(node, state)

    monkeypatch.setattr(nnx, "update", forgetful)
    with pytest.raises(ValueError, match="does not hold the same weights: layers/0/k_proj/kernel"):
        load_module1_transformer_weights(matcher, dense_ckpt)


def test_generic_transformers_are_transferred_too(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    config = ModelConfig(**{**vars(model_config), "use_loftr": False})
    dense = DenseRegModel(config, rngs=nnx.Rngs(1))
    save_weights(tmp_path / "d.safetensors", dense, Metadata.of(DenseConfig(model=config)))
    matcher = MatcherModel(config, rngs=nnx.Rngs(2))
    load_module1_transformer_weights(matcher, tmp_path / "d.safetensors")
    assert leaves(matcher.loftr_transformer_global) == leaves(dense.loftr_transformer)
