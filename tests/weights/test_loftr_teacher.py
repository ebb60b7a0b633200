"""A trained LoFTR that somebody else made: converted, loaded, and computing the same."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from flax import nnx

from ifvit.config import ModelConfig
from ifvit.models.dense_reg import DenseRegModel
from ifvit.weights import sha256_of
from ifvit.weights.convert import convert_loftr
from ifvit.weights.loftr import load_loftr_weights

with warnings.catch_warnings(action="ignore"):  # kornia's own, while it is imported
    from kornia.feature.loftr.loftr_module import LocalFeatureTransformer as TorchTransformer

MODEL = ModelConfig(
    backbone_widths=(8, 16, 32), d_model=32, num_layers=4, num_heads=1, temp_bug_fix=False
)
"""The teacher's transformer; its author's configuration has one head and the old encoding."""


@pytest.fixture(scope="module")
def reference(loftr_ckpt) -> TorchTransformer:
    config = {"d_model": 32, "nhead": 1, "layer_names": ["self", "cross"] * 2}
    transformer = TorchTransformer({**config, "attention": "linear"}).eval()
    tensors = torch.load(loftr_ckpt, map_location="cpu", weights_only=True)["model_state_dict"]
    prefix = "loftr_coarse."
    own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    transformer.load_state_dict(own, strict=True)
    return transformer


@pytest.mark.parametrize("masked", [False, True])
def test_it_computes_what_pytorch_computes(loftr_ckpt, reference, tmp_path, masked):
    path = tmp_path / "loftr_transformer.npz"
    arrays, record = convert_loftr(loftr_ckpt, path, num_heads=1)
    assert (len(arrays), record.num_layers, record.d_model) == (40, 4, 32)
    assert record.source_sha256 == sha256_of(loftr_ckpt)
    model = DenseRegModel(MODEL, rngs=nnx.Rngs(0))
    load_loftr_weights(model, path)

    rng = np.random.default_rng(0)
    feats = [rng.normal(size=(2, n, 32)).astype(np.float32) for n in (12 * 16, 10 * 14)]
    masks = [np.arange(f.shape[1])[None] < [[100], [130]] if masked else None for f in feats]
    own = nnx.jit(lambda m, *inputs: m(*inputs))(model.loftr_transformer, *feats, *masks)
    given = [None if x is None else torch.from_numpy(x) for x in (*feats, *masks)]
    with torch.no_grad():
        wanted = reference(*given)
    for mine, other, mask in zip(own, wanted, masks, strict=True):
        kept = slice(None) if mask is None else mask
        a, b = np.asarray(mine)[kept], other.numpy()[kept]
        assert np.abs(a - b).max() < 1e-5 * np.abs(b).max()


def test_a_wrong_number_of_heads_is_nearly_loftr_and_is_not(loftr_ckpt, reference, tmp_path):
    """Nothing in the file tells; so the conversion takes a statement, and without one it warns."""
    path = tmp_path / "loftr_transformer.npz"
    convert_loftr(loftr_ckpt, path, num_heads=1)
    eight = ModelConfig(**{**vars(MODEL), "num_heads": 8})
    with pytest.raises(ValueError, match="num_heads is 1 in LoFTR and 8 here"):
        load_loftr_weights(DenseRegModel(eight, rngs=nnx.Rngs(0)), path)
