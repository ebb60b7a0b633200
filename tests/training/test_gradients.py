"""Gradients in parts, layers computed again, and bfloat16: the same step, for less."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ifvit.config import DenseConfig, HardwareConfig, OptimConfig
from ifvit.models import DenseRegModel
from ifvit.training.gradients import as_used, gradients, set_compute
from ifvit.training.losses import dense_loss
from ifvit.training.steps import dense_step

pytestmark = pytest.mark.heavy

PLAIN = HardwareConfig()


def objective(model, batch):
    output = model(batch.image0, batch.image1, batch.mask0, batch.mask1)
    loss = dense_loss(output.log_p, batch.matches0)
    return loss, {"L_D": loss}


def compute(model, batch, parts: int = 1):
    """The gradients by name, compiled, and the loss; the model's averages move."""
    found = nnx.jit(lambda model, batch: gradients(objective, model, batch, parts))(model, batch)
    loss, aux, grads = found
    assert float(aux["L_D"]) == float(loss)
    return float(loss), {str(path): g[...] for path, g in nnx.to_flat_state(grads)}


def averages(model) -> list[np.ndarray]:
    return [np.array(leaf) for leaf in jax.tree.leaves(nnx.state(model, nnx.BatchStat))]


@pytest.fixture(scope="module")
def batch(pairs):
    return pairs.batch(3, 4)


def fresh(micro, hardware: HardwareConfig = PLAIN) -> DenseRegModel:
    model = DenseRegModel(micro, rngs=nnx.Rngs(0))
    set_compute(model, hardware)
    return model


def assert_alike(found, wanted) -> None:
    """Equal but for rounding, of the largest value: a small entry is the sum of large ones."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max() + 1e-6  # some are 0


def test_parts_give_the_mean_of_their_gradients(micro, batch):
    whole, one_by_one = fresh(micro), fresh(micro)
    loss, grads = compute(whole, batch, parts=2)
    found = [
        compute(one_by_one, jax.tree.map(lambda x, start=start: x[start::2], batch))
        for start in (0, 1)
    ]
    assert loss == pytest.approx((found[0][0] + found[1][0]) / 2, rel=1e-5)
    assert found[0][0] != pytest.approx(found[1][0], rel=1e-3)
    for name, grad in grads.items():
        wanted = (found[0][1][name] + found[1][1][name]) / 2
        assert_alike(grad, wanted)
    # The running averages saw both parts, one after the other.
    for ours, theirs in zip(averages(whole), averages(one_by_one), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_a_step_in_parts_is_taken(micro, batch):
    model = fresh(micro)
    optimizer = nnx.Optimizer(model, optax.sgd(1e-3), wrt=nnx.Param)
    losses = [
        float(dense_step(model, optimizer, batch, 1.0, 1.0, accumulate=2)["L_D"]) for _ in "ab"
    ]
    assert losses[1] < losses[0] and int(optimizer.step[...]) == 2
    with pytest.raises(ValueError, match="accumulate is 3: expected a divisor"):
        DenseConfig(optim=OptimConfig(1, batch_size=8), hardware=HardwareConfig(accumulate=3))


def kept(model, batch) -> int:
    """Bytes that the way forward leaves for the way back: what the gradient closes over."""
    graph, state = nnx.split(model)

    def back(state):
        return jax.vjp(lambda state: objective(nnx.merge(graph, state), batch)[0], state)[1]

    left = jax.eval_shape(back, state)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(left))


@pytest.mark.parametrize("use_loftr", [True, False])
def test_layers_computed_again_give_the_same_for_less(micro, batch, use_loftr):
    deep = replace(micro, num_layers=4, use_loftr=use_loftr)
    plain, again = fresh(deep), fresh(deep, HardwareConfig(remat=True))
    assert kept(again, batch) < 0.5 * kept(plain, batch)
    (loss, grads), (loss_again, grads_again) = compute(plain, batch), compute(again, batch)
    assert loss == pytest.approx(loss_again, rel=1e-6)
    for name, grad in grads.items():
        assert_alike(grad, grads_again[name])
    for ours, theirs in zip(averages(plain), averages(again), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_bfloat16_is_for_the_heavy_parts_alone(micro, batch):
    plain, half = fresh(micro), fresh(micro, HardwareConfig(compute_dtype="bfloat16"))
    images = (batch.image0, batch.image1, batch.mask0, batch.mask1)
    exact = np.array(as_used(plain)(*images).log_p)
    # In use it computes in float32, to the bit.
    np.testing.assert_array_equal(as_used(half)(*images).log_p, exact)
    assert (
        half.ResNet18.conv1.dtype == jnp.bfloat16
        and half.DenseMatchingHead.final_proj.dtype is None
    )
    rough = nnx.view(half, use_running_average=True)(*images)
    apart = np.abs(rough.log_p - exact)[exact > -1000]
    assert rough.log_p.dtype == jnp.float32 and 0 < np.median(apart) < 0.5
    (loss, _), (loss_half, grads) = compute(plain, batch), compute(half, batch)
    assert loss_half == pytest.approx(loss, rel=0.05) and loss_half != loss
    assert {str(grad.dtype) for grad in grads.values()} == {"float32"}
    assert {str(leaf.dtype) for leaf in averages(half)} == {"float32"}
