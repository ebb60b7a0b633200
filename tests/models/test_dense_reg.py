import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ifvit.config import ModelConfig
from ifvit.models.dense_reg import DenseRegModel

CONFIG = ModelConfig(
    canvas=32, backbone_widths=(4, 4, 8), d_model=8, num_layers=2, num_heads=2, embedding_dim=6
)

forward = nnx.jit(lambda model, *images: model(*images))


def test_shapes_and_the_checkpoint_tree() -> None:
    model = DenseRegModel(CONFIG, rngs=nnx.Rngs(0))
    out = forward(model, jnp.ones((2, 32, 32)), jnp.ones((2, 32, 24)))
    assert out.log_p.shape == (2, 16, 12)
    assert out.feat0.shape == (2, 16, 8) and out.feat1.shape == (2, 12, 8)
    parts = {str(path[0]) for path, _ in nnx.to_flat_state(nnx.state(model, nnx.Param))}
    heads = {"DenseMatchingHead", "FineMatchingHead"}
    assert parts == {"ResNet18", "loftr_transformer"} | heads


@pytest.mark.parametrize("use_loftr", [True, False])
@pytest.mark.heavy
def test_a_compiled_step_learns_one_pair_and_moves_the_statistics(use_loftr: bool) -> None:
    config = ModelConfig(
        backbone_widths=(4, 4, 8), d_model=8, num_layers=2, num_heads=2, use_loftr=use_loftr
    )
    model = DenseRegModel(config, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
    image = jax.random.normal(jax.random.key(0), (1, 32, 32))
    mask = jnp.ones((1, 4, 4), bool).at[0, 0].set(False)

    @nnx.jit
    def step(model: DenseRegModel, optimizer: nnx.Optimizer) -> jax.Array:
        def loss_of(model: DenseRegModel) -> jax.Array:
            log_p = model(image, image, mask, mask).log_p
            return -jnp.diagonal(log_p, axis1=1, axis2=2)[:, 4:].mean()

        loss, grads = nnx.value_and_grad(loss_of)(model)
        optimizer.update(model, grads)
        return loss

    before = np.asarray(model.ResNet18.bn1.mean[...])
    losses = [float(step(model, optimizer)) for _ in range(12)]
    assert np.isfinite(losses).all() and losses[-1] < 0.7 * losses[0]
    assert not np.array_equal(before, model.ResNet18.bn1.mean[...])


def test_in_eval_a_pair_does_not_depend_on_its_batch() -> None:
    model = DenseRegModel(CONFIG, rngs=nnx.Rngs(0))
    images = jax.random.normal(jax.random.key(0), (2, 3, 32, 32))
    # A view has modes of its own over the same weights: the model itself goes on training.
    view = nnx.view(model, use_running_average=True)
    whole = forward(view, images[0], images[1]).log_p
    alone = forward(view, images[0, 1:2], images[1, 1:2]).log_p
    np.testing.assert_allclose(whole[1:2], alone, atol=1e-4)
    assert not model.ResNet18.bn1.use_running_average


@pytest.mark.heavy
def test_an_empty_print_gives_finite_values_and_gradients() -> None:
    model = DenseRegModel(CONFIG, rngs=nnx.Rngs(0))
    image, mask = jnp.zeros((1, 32, 32)), jnp.zeros((1, 4, 4), bool)

    def total(model: DenseRegModel) -> jax.Array:
        return model(image, image, mask, mask).log_p.sum()

    value, grads = nnx.jit(nnx.value_and_grad(total))(model)
    assert jnp.isfinite(value)
    assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(grads))
