import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ifvit.config import CELL_DIM, ModelConfig
from ifvit.models.embedding import MatcherModel, l2_normalise, pool_tokens

CONFIG = ModelConfig(
    canvas=32, backbone_widths=(4, 4, 8), d_model=8, num_layers=2, num_heads=2, embedding_dim=6
)


def prints(seed: int = 0, count: int = 4) -> tuple[jax.Array, ...]:
    """Noise as prints, loose and posed; the first cell of each print is no foreground."""
    loose, posed = jax.random.normal(jax.random.key(seed), (2, count, 32, 32))
    mask = jnp.ones((count, 4, 4), bool).at[:, 0, 0].set(False)
    return loose, mask, posed, mask


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


@pytest.mark.heavy
def test_unit_vectors_a_pose_and_matches() -> None:
    model = MatcherModel(CONFIG, rngs=nnx.Rngs(0))
    assert parts(model) == {
        *("ResNet18", "loftr_transformer_global", "DenseMatchingHead"),
        *("PoseHead", "EmbeddingHead"),
    }

    @nnx.jit
    def run(model: MatcherModel, loose, loose_mask, posed, posed_mask):
        pose, code = model(loose, loose_mask, posed, posed_mask)
        first, second = code.feature_map[:2], code.feature_map[2:]
        return pose, code, model.match_maps(first, second, posed_mask[:2], posed_mask[2:])

    given = prints()
    pose, code, log_p = run(model, *given)
    assert log_p.shape == (2, 16, 16)
    assert code.cells.shape == (4, 4, 4, CELL_DIM) and code.index.shape == (4, 6)
    length = jnp.linalg.norm(code.cells, axis=-1)
    np.testing.assert_allclose(length, given[3].astype(float), rtol=1e-4)
    np.testing.assert_allclose(jnp.linalg.norm(code.index, axis=1), 1.0, rtol=1e-5)
    assert pose.offset.shape == pose.up.shape == (4, 4, 4, 2)
    np.testing.assert_allclose(jnp.exp(pose.log_p).sum((1, 2)), 1.0, rtol=1e-5)


@pytest.mark.heavy
def test_a_print_has_one_code_whatever_stands_beside_it() -> None:
    """In eval mode: a template is compared with any other, made at any time."""
    model = nnx.view(MatcherModel(CONFIG, rngs=nnx.Rngs(0)), use_running_average=True)
    loose, mask, posed, _ = prints()
    encode = nnx.jit(lambda model, posed, mask: model.encode(posed, mask))
    search = nnx.jit(lambda model, loose, mask: model.pose(loose, mask))
    together, alone = encode(model, posed, mask), encode(model, posed[:1], mask[:1])
    np.testing.assert_allclose(together.cells[:1], alone.cells, atol=1e-5)
    np.testing.assert_allclose(together.index[:1], alone.index, atol=1e-5)
    both = nnx.jit(lambda model, *given: model(*given))(model, loose, mask, posed, mask)
    np.testing.assert_allclose(both[1].cells, together.cells, atol=1e-5)
    np.testing.assert_allclose(both[0].log_p, search(model, loose, mask).log_p, atol=1e-4)


@pytest.mark.heavy
def test_all_parts_train_in_one_compiled_step() -> None:
    model = MatcherModel(CONFIG, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(model: MatcherModel, optimizer: nnx.Optimizer, given: tuple) -> jax.Array:
        def loss_of(model: MatcherModel) -> jax.Array:
            pose, code = model(*given)
            alike = (code.index[0] * code.index[1]).sum() + (code.cells[0] * code.cells[1]).sum()
            apart = (code.index[0] * code.index[2]).sum() + (code.cells[0] * code.cells[2]).sum()
            log_p = model.match_maps(code.feature_map, code.feature_map, given[3], given[3])
            sure = pose.log_p[:, 1, 1] + pose.up[:, 1, 1, 0] + pose.offset[:, 1, 1, 0]
            return apart - alike - sure.mean() - jnp.trace(log_p[0]) / 100

        loss, grads = nnx.value_and_grad(loss_of)(model)
        optimizer.update(model, grads)
        return loss

    before = jax.tree.map(np.asarray, nnx.state(model, nnx.Param))
    losses = [float(step(model, optimizer, prints())) for _ in range(10)]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    after = nnx.state(model, nnx.Param)
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), before, after)
    assert all(jax.tree.leaves(moved))


def test_what_is_masked_does_not_reach_the_index_vector() -> None:
    feat = jax.random.normal(jax.random.key(5), (2, 16, 8))
    mask = jnp.ones((2, 4, 4), bool).at[:, 1:].set(False)
    changed = feat.at[:, 4:].add(7.0)
    pooled = pool_tokens(feat, mask)
    np.testing.assert_array_equal(pooled, pool_tokens(changed, mask))
    assert not np.array_equal(pooled, pool_tokens(feat.at[:, :4].add(7.0), mask))
    nothing = pool_tokens(feat, jnp.zeros((2, 4, 4), bool))
    assert not nothing.any()
