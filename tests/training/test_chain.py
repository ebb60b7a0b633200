"""The whole chain: LoFTR's checkpoint, converted, to Module 1, to Module 2, and what is proved."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
import torch
from flax import nnx

from ifvit.config import DenseConfig, DenseStartConfig, MatchStartConfig, RunConfig
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherModel
from ifvit.training import dense, match
from ifvit.weights import sha256_of
from ifvit.weights.checkpoint import load_dense, read_metadata
from ifvit.weights.convert import TABLE, convert_loftr
from ifvit.weights.describe import describe
from ifvit.weights.tensors import parameter_arrays

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def chain(tmp_path_factory, micro, dense_config, match_config, few_masters_per_call, one_optimizer):
    """Every file of a chain, each made from the one before by the public functions."""
    folder = tmp_path_factory.mktemp("chain")
    width, layers = micro.d_model, micro.num_layers
    shapes = {"mlp.0.weight": (2 * width, 2 * width), "mlp.2.weight": (width, 2 * width)}
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for layer in range(layers):
        for name in TABLE:
            shape = (width,) if name.startswith("norm") else shapes.get(name, (width, width))
            values = 0.2 * torch.randn(shape, generator=generator)
            tensors[f"matcher.loftr_coarse.layers.{layer}.{name}"] = values
    torch.save({"state_dict": tensors}, folder / "outdoor_ds.ckpt")
    npz = folder / "loftr_transformer.npz"
    convert_loftr(folder / "outdoor_ds.ckpt", npz, num_heads=micro.num_heads, temp_bug_fix=True)

    config = replace(
        dense_config,
        run=RunConfig(str(folder / "dense")),
        start=DenseStartConfig(loftr_pretrained_ckpt=str(npz)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense, "VALIDATION_PAIRS", 2)
        patch.setattr(match, "VALIDATION_PRINTS", 8)
        dense_ckpt = dense.train_dense(config)
        second = replace(
            match_config,
            run=RunConfig(str(folder / "matcher")),
            start=MatchStartConfig(pretrained_ckpt=str(dense_ckpt)),
        )
        return folder, npz, config, dense_ckpt, second, match.train_match(second)


def test_module_1_starts_from_the_converted_file_and_trains_on(chain):
    _, npz, config, dense_ckpt, _, _ = chain
    start, lineage = dense.start_weights(config)
    with np.load(npz, allow_pickle=False) as archive:
        for name, array in parameter_arrays(start.loftr_transformer).items():
            assert array.tobytes() == archive[name].tobytes()
    assert read_metadata(dense_ckpt).lineage == lineage
    trained = parameter_arrays(load_dense(dense_ckpt)[0].loftr_transformer)
    moved = [not np.array_equal(trained[n], a) for n, a in
             parameter_arrays(start.loftr_transformer).items()]  # fmt: skip
    assert all(moved)
    # Backbone and head are those of the seed.
    fresh = DenseRegModel(config.model, rngs=nnx.Rngs(config.run.seed))
    for part in ("ResNet18", "DenseMatchingHead"):
        assert equal(getattr(start, part), getattr(fresh, part))


def equal(left: nnx.Module, right: nnx.Module) -> bool:
    one, other = parameter_arrays(left), parameter_arrays(right)
    return set(one) == set(other) and all(one[n].tobytes() == other[n].tobytes() for n in one)


@pytest.mark.parametrize("transfer", ["transformer", "backbone"])
def test_module_2_holds_module_1s_bytes_and_the_rest_is_fresh(chain, transfer):
    _, _, _, dense_ckpt, config, _ = chain
    config = replace(config, start=replace(config.start, transfer=transfer))
    model, _ = match.start_weights(config)
    module1, _ = load_dense(dense_ckpt)
    fresh = MatcherModel(config.model, rngs=nnx.Rngs(config.run.seed))
    assert equal(model.loftr_transformer_global, module1.loftr_transformer)
    assert not equal(model.loftr_transformer_global, fresh.loftr_transformer_global)
    for part in ("ResNet18", "DenseMatchingHead"):
        own, start = getattr(model, part), module1 if transfer == "backbone" else fresh
        assert equal(own, getattr(start, part)), part
    for part in ("PoseHead", "EmbeddingHead"):
        assert equal(getattr(model, part), getattr(fresh, part)), part


def test_inspect_shows_the_whole_lineage_down_to_loftr(chain):
    folder, npz, _, dense_ckpt, _, matcher_ckpt = chain
    text = describe(matcher_ckpt)
    order = [
        sha256_of(folder / "outdoor_ds.ckpt"),
        sha256_of(npz),
        sha256_of(dense_ckpt),
        sha256_of(matcher_ckpt),
    ]
    places = [text.index(digest) for digest in order]
    assert places == sorted(places)
    assert "skipped" not in text


def test_a_skipped_loftr_link_is_said_in_words(match_run):
    text = describe(match_run[0])
    assert "The LoFTR link was skipped: Module 1 started at random" in text
    assert "Module 1 link was skipped" not in text


def test_weights_that_do_not_fit_are_refused_before_any_finger_is_grown(
    chain, dense_config: DenseConfig, monkeypatch
):
    _, npz, _, _, _, _ = chain
    monkeypatch.setattr(dense, "dense_sources", lambda _: pytest.fail("prints were made first"))
    wider = replace(dense_config.model, d_model=32)
    start = DenseStartConfig(loftr_pretrained_ckpt=str(npz))
    config = replace(dense_config, model=wider, start=start)
    with pytest.raises(ValueError, match=r"d_model is 16 in LoFTR and 32 here"):
        dense.train_dense(config)
    assert jax.tree.leaves(nnx.state(dense.start_weights(dense_config)[0]))
