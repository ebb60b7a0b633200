import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ifvit.config import ModelConfig
from ifvit.models.transformer import (
    LocalFeatureTransformer,
    LoFTREncoderLayer,
    SiameseTransformer,
    build_transformer,
    linear_attention,
    softmax_attention,
)


def tokens(seed: int, n: int, d: int = 8) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), (2, n, d))


def heads(seed: int, n: int) -> jax.Array:
    return tokens(seed, n).reshape(2, n, 2, 4)


def test_linear_attention_is_a_normalised_sum_over_all_keys() -> None:
    q, k, v = heads(0, 5), heads(1, 7), heads(2, 7)

    def kernel(x: np.ndarray) -> np.ndarray:
        return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))

    # The explicit form, in O(N M): weights phi(q)·phi(k), normalised over the keys.
    weight = np.einsum("bnhd,bmhd->bhnm", kernel(np.asarray(q)), kernel(np.asarray(k)))
    weight /= weight.sum(-1, keepdims=True)
    expected = np.einsum("bhnm,bmhd->bnhd", weight, np.asarray(v))
    np.testing.assert_allclose(linear_attention(q, k, v), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("attention", [linear_attention, softmax_attention])
def test_masked_keys_count_as_removed(attention) -> None:
    q, k, v = heads(0, 5), heads(1, 7), heads(2, 7)
    mask = jnp.ones((2, 7), bool).at[:, 4:].set(False)
    masked = attention(q, k, v, kv_mask=mask)
    np.testing.assert_allclose(masked, attention(q, k[:, :4], v[:, :4]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("attention", [linear_attention, softmax_attention])
def test_without_any_key_the_result_is_zero_and_differentiable(attention) -> None:
    mask = jnp.zeros((2, 7), bool)

    def total(q: jax.Array) -> jax.Array:
        return attention(q, heads(1, 7), heads(2, 7), kv_mask=mask).sum()

    assert total(heads(0, 5)) == 0
    assert jnp.isfinite(jax.grad(total)(heads(0, 5))).all()


def test_masked_queries_get_nothing() -> None:
    mask = jnp.ones((2, 5), bool).at[:, 3].set(False)
    out = linear_attention(heads(0, 5), heads(1, 7), heads(2, 7), mask)
    assert (out[:, 3] == 0).all() and (out[:, 2] != 0).any()


def test_encoder_layer_has_the_ten_arrays_of_loftr() -> None:
    layer = LoFTREncoderLayer(8, 2, rngs=nnx.Rngs(0))
    shapes = {
        "/".join(map(str, path)): var.shape for path, var in nnx.to_flat_state(nnx.state(layer))
    }
    assert shapes == {
        "q_proj/kernel": (8, 8),
        "k_proj/kernel": (8, 8),
        "v_proj/kernel": (8, 8),
        "merge/kernel": (8, 8),
        "mlp/layers/0/kernel": (16, 16),
        "mlp/layers/2/kernel": (16, 8),
        "norm1/scale": (8,),
        "norm1/bias": (8,),
        "norm2/scale": (8,),
        "norm2/bias": (8,),
    }


def test_norms_and_residual_are_where_loftr_has_them() -> None:
    layer = LoFTREncoderLayer(8, 2, rngs=nnx.Rngs(0))
    x, source = tokens(0, 5), tokens(1, 6)
    shift = jnp.arange(8.0)
    layer.norm2.scale[...] = jnp.zeros(8)
    layer.norm2.bias[...] = shift
    # norm2 is the last thing before the residual, so the layer now adds exactly its bias.
    np.testing.assert_allclose(layer(x, source), x + shift, atol=1e-6)


@pytest.mark.parametrize("kind", [LocalFeatureTransformer, SiameseTransformer])
@pytest.mark.heavy
def test_image_1_sees_the_image_0_that_was_just_updated(kind) -> None:
    net = kind(8, 2, 2, rngs=nnx.Rngs(0))
    feat0, feat1 = tokens(0, 5), tokens(1, 6)
    self_layer, cross_layer = net.layers
    a0, a1 = self_layer(feat0, feat0), self_layer(feat1, feat1)
    b0 = cross_layer(a0, a1)
    b1 = cross_layer(a1, b0)
    last = getattr(net, "norm", lambda x: x)
    out0, out1 = net(feat0, feat1)
    np.testing.assert_allclose(out0, last(b0), atol=1e-5)
    np.testing.assert_allclose(out1, last(b1), atol=1e-5)
    assert not np.allclose(out1, last(cross_layer(a1, a0)), atol=1e-3)


def test_one_batch_for_both_images_changes_no_number() -> None:
    net = LocalFeatureTransformer(8, 2, 2, rngs=nnx.Rngs(0))
    feat0, feat1 = tokens(0, 6), tokens(1, 6)
    mask0 = jnp.ones((2, 6), bool).at[0, 4:].set(False)
    together = net(feat0, feat1, mask0, jnp.ones((2, 6), bool))
    apart = net(feat0, feat1, mask0, None)
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("kind", [LocalFeatureTransformer, SiameseTransformer])
def test_what_is_masked_has_no_influence(kind) -> None:
    net = kind(8, 2, 2, rngs=nnx.Rngs(0))
    feat0, feat1 = tokens(0, 6), tokens(1, 6)
    mask = jnp.ones((2, 6), bool).at[:, 4:].set(False)
    full = net(feat0, feat1, mask, mask)
    other = net(feat0.at[:, 4:].add(9.0), feat1.at[:, 4:].add(9.0), mask, mask)
    for a, b in zip(full, other, strict=True):
        np.testing.assert_allclose(a[:, :4], b[:, :4], atol=1e-5)


def test_use_loftr_chooses_the_transformer() -> None:
    config = {"d_model": 8, "num_heads": 2, "num_layers": 2}
    loftr = build_transformer(ModelConfig(**config), rngs=nnx.Rngs(0))
    generic = build_transformer(ModelConfig(**config, use_loftr=False), rngs=nnx.Rngs(0))
    assert isinstance(loftr, LocalFeatureTransformer)
    assert isinstance(generic, SiameseTransformer)
