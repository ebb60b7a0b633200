import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ifvit.config import ModelConfig
from ifvit.models.matcher import (
    EmbeddingHead,
    MatcherInput,
    MatcherModel,
    l2_normalise,
    pool_tokens,
)

CONFIG = ModelConfig(
    canvas=32, backbone_widths=(4, 4, 8), d_model=8, num_layers=2, num_heads=2, embedding_dim=6
)


def views(seed: int = 0, b: int = 2) -> MatcherInput:
    keys = jax.random.split(jax.random.key(seed), 4)
    large = [jax.random.normal(k, (b, 32, 32)) for k in keys[:2]]
    small = [jax.random.normal(k, (b, 16, 16)) for k in keys[2:]]
    large_mask, small_mask = jnp.ones((b, 4, 4), bool), jnp.ones((b, 2, 2), bool)
    return MatcherInput(*large, large_mask, large_mask, *small, small_mask, small_mask)


def parts(model: nnx.Module) -> set[str]:
    return {str(path[0]) for path, _ in nnx.to_flat_state(nnx.state(model, nnx.Param))}


def test_pooling_by_hand() -> None:
    feat = jnp.asarray([[[1.0, -4.0], [3.0, -2.0], [99.0, 99.0]]])
    mask = jnp.asarray([[True, True, False]])
    assert pool_tokens(feat, mask).tolist() == [[2.0, -3.0, 3.0, -2.0]]
    assert pool_tokens(feat[:, :2]).tolist() == [[2.0, -3.0, 3.0, -2.0]]
    assert pool_tokens(feat, jnp.zeros((1, 3), bool)).tolist() == [[0.0, 0.0, 0.0, 0.0]]


def test_normalising_is_safe_at_zero() -> None:
    np.testing.assert_allclose(l2_normalise(jnp.asarray([[3.0, 4.0]])), [[0.6, 0.8]], rtol=1e-6)
    zero = jnp.zeros((1, 2))
    assert (l2_normalise(zero) == 0).all()
    assert jnp.isfinite(jax.grad(lambda x: l2_normalise(x).sum())(zero)).all()


def test_unit_embeddings_and_matches_of_the_global_branch() -> None:
    out = nnx.jit(lambda model, batch: model(batch))(
        MatcherModel(CONFIG, rngs=nnx.Rngs(0)), views()
    )
    assert out.log_p.shape == (2, 16, 16)
    for embedding in (out.global0, out.global1, out.local0, out.local1):
        assert embedding.shape == (2, 6)
        np.testing.assert_allclose(jnp.linalg.norm(embedding, axis=1), 1.0, rtol=1e-5)


def test_shared_is_one_set_of_weights_and_separate_is_two() -> None:
    common = {"ResNet18", "loftr_transformer_global", "EmbeddingHead", "DenseMatchingHead"}
    shared = MatcherModel(CONFIG, rngs=nnx.Rngs(0))
    separate = MatcherModel(CONFIG, share_global_local=False, rngs=nnx.Rngs(0))
    assert parts(shared) == common and not hasattr(shared, "loftr_transformer_local")
    assert parts(separate) == common | {"loftr_transformer_local"}


def test_all_parts_train_in_one_compiled_step() -> None:
    model = MatcherModel(CONFIG, share_global_local=False, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(model: MatcherModel, optimizer: nnx.Optimizer, batch: MatcherInput) -> jax.Array:
        def loss_of(model: MatcherModel) -> jax.Array:
            out = model(batch)
            likeness = (out.global0 * out.global1).sum(-1) + (out.local0 * out.local1).sum(-1)
            return jnp.abs(likeness - jnp.asarray([2.0, -2.0])).mean() - out.log_p.mean() / 100

        loss, grads = nnx.value_and_grad(loss_of)(model)
        optimizer.update(model, grads)
        return loss

    before = jax.tree.map(np.asarray, nnx.state(model, nnx.Param))
    losses = [float(step(model, optimizer, views())) for _ in range(15)]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    after = nnx.state(model, nnx.Param)
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), before, after)
    assert all(jax.tree.leaves(moved))


def test_what_is_masked_does_not_reach_the_embedding() -> None:
    head = EmbeddingHead(8, 6, rngs=nnx.Rngs(0))
    feat = jax.random.normal(jax.random.key(5), (2, 16, 8))
    mask = jnp.ones((2, 16), bool).at[:, 1:].set(False)
    changed = feat.at[:, 1:].add(7.0)
    np.testing.assert_array_equal(head.embed_global(feat, mask), head.embed_global(changed, mask))
    np.testing.assert_array_equal(head.embed_local(feat, mask), head.embed_local(changed, mask))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"local_mask0": jnp.ones((2, 3, 3), bool)}, "one value per coarse cell"),
        ({"local0": jnp.ones((2, 15, 15))}, "multiples of 8"),
    ],
)
def test_masks_and_sizes_that_do_not_fit_are_refused(change: dict, message: str) -> None:
    # Shapes alone decide, so nothing is computed.
    with pytest.raises(ValueError, match=message):
        nnx.eval_shape(lambda: MatcherModel(CONFIG, rngs=nnx.Rngs(0))(views()._replace(**change)))
