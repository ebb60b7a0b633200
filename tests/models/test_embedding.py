import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ifvit.config import ModelConfig
from ifvit.models.embedding import MatcherInput, MatcherModel, l2_normalise, pool_tokens

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
    """Eight by eight cells: each of the 4×4 regions is the mean of four, of what is foreground."""
    cells = np.arange(64.0, dtype=np.float32).reshape(8, 8)
    feat = jnp.stack([cells.ravel(), -cells.ravel()], axis=-1)[None]
    means = cells.reshape(4, 2, 4, 2).mean((1, 3))
    pooled = np.asarray(pool_tokens(feat, jnp.ones((1, 8, 8), bool)))[0]
    assert pooled.shape == (2 * 17,)
    np.testing.assert_allclose(pooled[:32].reshape(4, 4, 2), np.stack([means, -means], -1))
    assert pooled[32:].tolist() == [63.0, 0.0]

    mask = jnp.zeros((1, 8, 8), bool).at[0, 2, 4].set(True).at[0, 3, 5].set(True)
    pooled = np.asarray(pool_tokens(feat, mask))[0]
    expected = np.zeros((4, 4, 2))
    expected[1, 2] = [(20 + 29) / 2, -(20 + 29) / 2]
    np.testing.assert_allclose(pooled[:32].reshape(4, 4, 2), expected)
    assert pooled[32:].tolist() == [29.0, -20.0]


def test_a_view_of_fewer_cells_than_regions_repeats_them() -> None:
    feat = jnp.arange(4.0).reshape(1, 4, 1)
    pooled = np.asarray(pool_tokens(feat, jnp.ones((1, 2, 2), bool)))[0]
    np.testing.assert_allclose(
        pooled[:16].reshape(4, 4), np.kron([[0, 1], [2, 3]], np.ones((2, 2)))
    )


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
    feat = jax.random.normal(jax.random.key(5), (2, 16, 8))
    mask = jnp.ones((2, 4, 4), bool).at[:, 1:].set(False)
    changed = feat.at[:, 4:].add(7.0)
    pooled = pool_tokens(feat, mask)
    np.testing.assert_array_equal(pooled, pool_tokens(changed, mask))
    assert not np.array_equal(pooled, pool_tokens(feat.at[:, :4].add(7.0), mask))
    nothing = pool_tokens(feat, jnp.zeros((2, 4, 4), bool))
    assert not nothing.any()


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
