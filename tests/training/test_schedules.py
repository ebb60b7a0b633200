"""What changes over training: easy pairs first, parts that learn more slowly, averaged weights."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ifvit.config import DenseConfig, DenseDataConfig, OptimConfig
from ifvit.models import DenseRegModel
from ifvit.sources.dense_synthetic import Ease, SyntheticPairs, draw_pairs
from ifvit.training.dense import dense_sources, ease_of
from ifvit.training.ema import Ema
from ifvit.training.loop import make_optimizer

GROWING = DenseConfig(
    data=DenseDataConfig(rotation_growth=0.5, distortion_growth=1.0),
    optim=OptimConfig(epochs=2, pairs_per_epoch=80, batch_size=8),
)


def test_rotation_and_distortion_grow_to_their_full():
    shares = [ease_of(GROWING, index) for index in range(21)]
    assert shares[0] == Ease(0.1, 0.1)
    rotation, distortion = (np.array(values) for values in zip(*shares, strict=True))
    assert rotation[5] == pytest.approx(0.55) and (rotation[10:] == 1).all()
    assert distortion[10] == pytest.approx(0.55) and distortion[20] == 1
    assert (np.diff(rotation) >= 0).all() and (np.diff(distortion) > 0).all()
    distorted = replace(GROWING, data=DenseDataConfig(distortion_growth=1.0))
    assert ease_of(distorted, 0) == Ease(1.0, 0.1)


def test_an_eased_print_is_turned_and_distorted_less():
    finger, impression = jnp.array([[0, 0]]), jnp.array([[1, 2]])
    params, _ = draw_pairs(0, finger, impression, 60.0, 180.0)
    eased = Ease(0.25, 0.5).of(params)
    np.testing.assert_allclose(eased.rotation, params.rotation / 4)
    np.testing.assert_allclose(eased.strain, params.strain / 2)
    np.testing.assert_allclose(eased.bump_shift, params.bump_shift / 2)
    assert all(
        getattr(eased, name) is getattr(params, name)
        for name in set(params._fields) - {"rotation", "strain", "bump_shift"}
    )


@pytest.mark.heavy
def test_a_source_eases_its_batches(masters, micro):
    how = {"max_rotation": 60.0, "impostor_ratio": 0.0}
    eases = None, lambda index: Ease(1.0, 1.0), lambda index: Ease(0.0, 0.0)
    plain, full, none = (
        SyntheticPairs(0, np.arange(4), masters, micro, **how, ease=ease) for ease in eases
    )
    batch, same, easy = (source.batch(3, 2) for source in (plain, full, none))
    np.testing.assert_allclose(batch.image0, same.image0, atol=1e-3)
    assert not np.allclose(batch.image0, easy.image0, atol=0.1)


def test_a_folder_does_not_grow(tmp_path):
    of_folder = replace(GROWING, data=replace(GROWING.data, dataset_root=str(tmp_path)))
    with pytest.raises(ValueError, match="only synthetic pairs grow"):
        dense_sources(of_folder)
    with pytest.raises(ValueError, match="rotation_growth is 2: expected a share"):
        DenseDataConfig(rotation_growth=2)


def moved(micro, **scales: float) -> dict[str, float]:
    """How far one step moves each part, where all gradients are 1."""
    model = DenseRegModel(micro, rngs=nnx.Rngs(0))
    optim = OptimConfig(epochs=100, weight_decay=0.0, warmup_fraction=0.0, **scales)
    optimizer = make_optimizer(model, optim)
    before = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    update = nnx.jit(lambda model, optimizer, grads: optimizer.update(model, grads))
    for _ in range(2):  # The first step is the warm-up's zero.
        update(model, optimizer, jax.tree.map(jnp.ones_like, nnx.state(model, nnx.Param)))
    after = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    change = jax.tree.map(lambda a, b: jnp.abs(a - b).mean(), before, after)
    return {part: float(np.mean(jax.tree.leaves(tree))) for part, tree in change.items()}


@pytest.mark.heavy
def test_parts_learn_at_rates_of_their_own(micro):
    plain = moved(micro)
    slow = moved(micro, backbone_lr_scale=0.1, transformer_lr_scale=0.5)
    frozen = moved(micro, backbone_lr_scale=0.0)
    assert min(plain.values()) > 0
    assert slow["ResNet18"] == pytest.approx(0.1 * plain["ResNet18"], rel=1e-2)
    assert slow["loftr_transformer"] == pytest.approx(0.5 * plain["loftr_transformer"], rel=1e-2)
    assert slow["DenseMatchingHead"] == plain["DenseMatchingHead"]
    assert frozen["ResNet18"] == 0 and frozen["DenseMatchingHead"] > 0


def test_the_average_follows_the_weights(micro):
    model = nnx.BatchNorm(3, rngs=nnx.Rngs(0))
    averages = Ema(model, 0.5)
    assert list(averages.modules) == ["average"]
    wanted = np.ones(3)
    for index, value in enumerate((3.0, 5.0, 9.0, 2.0)):
        model.scale[...] = jnp.full(3, value)
        model.mean[...] = jnp.full(3, -value)
        averages.follow(index)
        kept = min(0.5, (1 + index) / (10 + index))
        wanted = kept * wanted + (1 - kept) * value
        np.testing.assert_allclose(averages.weights.scale[...], wanted, rtol=1e-6)
    assert float(averages.weights.mean[0]) < -1
    np.testing.assert_array_equal(model.scale[...], np.full(3, 2.0))


def test_without_a_decay_the_weights_are_the_models_own():
    model = nnx.BatchNorm(3, rngs=nnx.Rngs(0))
    averages = Ema(model, 0.0)
    averages.follow(0)
    assert averages.weights is model and averages.modules == {}
