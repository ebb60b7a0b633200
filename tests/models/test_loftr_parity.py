"""LoFTR, number for number: ours through the converter against kornia's, in float32.

The reference has random weights, saved in the official release's layout, so that nothing has to be
downloaded. An error is relative to the largest value of the reference: 1e-5 of it is allowed, about
a hundred times the last digit of float32. ``test_*_would_be_noticed`` show that the near misses of
other ports are a thousand times over it.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from ifvit.config import ModelConfig
from ifvit.models.coarse_matching import DenseMatchingHead, log_dual_softmax
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.tokens import position_encoding
from ifvit.models.transformer import LocalFeatureTransformer
from ifvit.weights.convert import convert_loftr
from ifvit.weights.loftr import load_loftr_weights

with warnings.catch_warnings(action="ignore"):  # kornia's own, while it is imported
    from kornia.feature import LoFTR
    from kornia.feature.loftr.utils.coarse_matching import CoarseMatching
    from kornia.feature.loftr.utils.position_encoding import PositionEncodingSine

TOLERANCE = 1e-5
MODEL = ModelConfig(backbone_widths=(4, 4, 8), temp_bug_fix=False)
"""The released shape: d=256, 8 layers, 8 heads."""

SIZES = [((6, 6), (6, 6)), ((8, 5), (8, 5)), ((16, 16), (16, 16)), ((9, 4), (5, 11))]
"""Cells (h, w) of both images: square, not square, that of a print, and two of different sizes."""

apply = nnx.jit(lambda module, *inputs: module(*inputs))


@pytest.fixture(scope="module")
def theirs() -> LoFTR:
    torch.manual_seed(0)
    with warnings.catch_warnings(action="ignore"):
        loftr = LoFTR(pretrained=None).eval()
    # As they start, norms are 1 and 0, and one could be taken for another.
    for name, parameter in loftr.loftr_coarse.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, 0.0 if name.endswith("bias") else 1.0, 0.3)
    return loftr


@pytest.fixture(scope="module")
def converted(theirs: LoFTR, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference's weights, saved as the official release has them, converted."""
    folder = tmp_path_factory.mktemp("loftr")
    state = {f"matcher.{name}": tensor for name, tensor in theirs.state_dict().items()}
    torch.save({"state_dict": state}, folder / "outdoor_ds.ckpt")
    convert_loftr(folder / "outdoor_ds.ckpt", folder / "loftr_transformer.npz")
    return folder / "loftr_transformer.npz"


@pytest.fixture(scope="module")
def ours(converted: Path) -> LocalFeatureTransformer:
    model = DenseRegModel(MODEL, rngs=nnx.Rngs(1))
    load_loftr_weights(model, converted)
    assert isinstance(model.loftr_transformer, LocalFeatureTransformer)
    return model.loftr_transformer


def tokens(seed: int, size: tuple[int, int], pairs: int = 2) -> np.ndarray:
    """Random features of ``h · w`` cells, position encoding included."""
    drawn = np.random.default_rng(seed).normal(size=(pairs, *size, MODEL.d_model))
    encoded = drawn + position_encoding(*size, MODEL.d_model, MODEL.temp_bug_fix)
    return encoded.reshape(pairs, -1, MODEL.d_model).astype(np.float32)


def foreground(size: tuple[int, int], pairs: int = 2) -> np.ndarray:
    """A mask without the lower rows of the first image and the right columns of the others."""
    mask = np.ones((pairs, *size), bool)
    mask[0, -2:] = False
    mask[1:, :, -1:] = False
    return mask.reshape(pairs, -1)


def torched(*arrays: np.ndarray | None) -> list[torch.Tensor | None]:
    return [None if array is None else torch.from_numpy(array) for array in arrays]


def error(own: jax.Array, reference: torch.Tensor, mask: np.ndarray | None = None) -> float:
    """The largest difference, relative to the reference's largest value; on the foreground."""
    a, b = np.asarray(own, np.float64), reference.detach().numpy().astype(np.float64)
    assert a.shape == b.shape
    if mask is not None:
        a, b = a[mask], b[mask]
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("masked", [False, True], ids=["all", "masked"])
@pytest.mark.parametrize("cross", [False, True], ids=["self", "cross"])
@pytest.mark.heavy
def test_one_encoder_layer(ours, theirs, cross, masked):
    size0, size1 = (9, 4), (5, 11) if cross else (9, 4)
    x, source = tokens(0, size0), tokens(1 if cross else 0, size1)
    masks = (foreground(size0), foreground(size1)) if masked else (None, None)
    number = 1 if cross else 0
    reference = theirs.loftr_coarse.layers[number](*torched(x, source, *masks))
    assert error(apply(ours.layers[number], x, source, *masks), reference, masks[0]) < TOLERANCE


@pytest.mark.parametrize("size", [(16, 16), (7, 40), (200, 3)])
@pytest.mark.parametrize("d_model", [256, 32])
@pytest.mark.parametrize("fixed", [True, False])
def test_position_encoding(size, d_model, fixed):
    table = PositionEncodingSine(d_model, temp_bug_fix=fixed).pe[0, :, : size[0], : size[1]]
    # An angle of 200 radians is known in float32 to 200 times its epsilon, on both sides.
    limit = max(TOLERANCE, max(size) * float(np.finfo(np.float32).eps))
    assert error(position_encoding(*size, d_model, fixed), table.permute(1, 2, 0)) < limit


def test_the_two_position_encodings_are_told_apart():
    pair = [position_encoding(16, 16, 256, fixed) for fixed in (True, False)]
    assert np.abs(pair[0] - pair[1]).max() > 1


@pytest.mark.parametrize("masked", [False, True], ids=["all", "masked"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.heavy
def test_the_whole_coarse_transformer(ours, theirs, sizes, masked):
    feat0, feat1 = tokens(0, sizes[0]), tokens(1, sizes[1])
    masks = (foreground(sizes[0]), foreground(sizes[1])) if masked else (None, None)
    reference = theirs.loftr_coarse(*torched(feat0, feat1, *masks))
    own = apply(ours, feat0, feat1, *masks)
    for image in (0, 1):
        assert error(own[image], reference[image], masks[image]) < TOLERANCE
        # The layers do something: it is not the input that agrees with itself.
        assert error(jnp.asarray((feat0, feat1)[image]), reference[image]) > 0.1


def confidence(theirs: LoFTR, feats: list, sizes, masks: list) -> torch.Tensor:
    """The reference's confidence matrix, from its coarse matching as it is."""
    matching = CoarseMatching(theirs.config["match_coarse"]).eval()
    data = {"hw0_c": sizes[0], "hw1_c": sizes[1], "stride_c": 8}
    data |= {f"hw{i}_i": tuple(8 * s for s in sizes[i]) for i in (0, 1)}
    if masks[0] is not None:
        data |= {f"mask{i}": masks[i].reshape(-1, *sizes[i]) for i in (0, 1)}
    with torch.no_grad():
        matching(*feats, data, mask_c0=masks[0], mask_c1=masks[1])
    return data["conf_matrix"]


@pytest.mark.parametrize("masked", [False, True], ids=["all", "masked"])
@pytest.mark.parametrize("sizes", SIZES[1:], ids=str)
def test_confidence_of_the_dual_softmax(ours, theirs, sizes, masked):
    feats = [tokens(0, sizes[0]), tokens(1, sizes[1])]
    masks = [foreground(s) if masked else None for s in sizes]
    # What the transformers make of them, so that the features are of the size that they have.
    ahead = theirs.loftr_coarse(*torched(*feats, *masks))
    reference = confidence(theirs, [f.detach() for f in ahead], sizes, torched(*masks))
    inputs = [f.detach().numpy() for f in ahead]
    head = DenseMatchingHead(256, MODEL.temperature, rngs=nnx.Rngs(0))
    # A projection that turns both alike leaves every inner product, as ours does when it starts.
    log_p = apply(head, *inputs, *masks)
    # The exponential of something divided by 0.1 has ten times its error.
    assert error(jnp.exp(log_p), reference) < 5 * TOLERANCE
    assert float(reference.max()) > 2 / reference.shape[2], "not merely uniform"


def test_log_of_the_dual_softmax_itself(theirs):
    feats = [tokens(0, (6, 6)), tokens(1, (6, 6))]
    reference = confidence(theirs, torched(*feats), [(6, 6), (6, 6)], [None, None])
    similarity = np.einsum("bnd,bmd->bnm", *feats) / 256 / 0.1
    assert error(jnp.exp(log_dual_softmax(jnp.asarray(similarity))), reference) < TOLERANCE


def wrong(ours: LocalFeatureTransformer, theirs: LoFTR) -> float:
    feat0, feat1 = tokens(0, (8, 5)), tokens(1, (8, 5))
    own = apply(ours, feat0, feat1)
    reference = theirs.loftr_coarse(*torched(feat0, feat1))
    return min(error(own[image], reference[image]) for image in (0, 1))


def test_norms_that_are_swapped_would_be_noticed(ours, theirs):
    broken = nnx.clone(ours)
    for layer in broken.layers:
        layer.norm1, layer.norm2 = layer.norm2, layer.norm1
    assert wrong(broken, theirs) > 1000 * TOLERANCE


def test_a_matrix_that_was_not_transposed_would_be_noticed(ours, theirs):
    broken = nnx.clone(ours)
    kernel = broken.layers[7].merge.kernel
    kernel[...] = kernel[...].T
    assert wrong(broken, theirs) > 1000 * TOLERANCE


def test_cross_attention_in_parallel_would_be_noticed(ours, theirs):
    feat0, feat1 = (jnp.asarray(tokens(i, (8, 5))) for i in (0, 1))
    reference = theirs.loftr_coarse(*torched(np.array(feat0), np.array(feat1)))
    for number, layer in enumerate(ours.layers):
        sources = (feat0, feat1) if number % 2 == 0 else (feat1, feat0)
        feat0, feat1 = layer(feat0, sources[0]), layer(feat1, sources[1])
    assert error(feat1, reference[1]) > 1000 * TOLERANCE


def test_another_number_of_heads_would_be_noticed(ours, theirs):
    broken = nnx.clone(ours)
    for layer in broken.layers:
        layer.num_heads = 4
    assert wrong(broken, theirs) > 1000 * TOLERANCE
