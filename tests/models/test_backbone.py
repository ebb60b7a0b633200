import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ifvit.models.backbone import ResNet18

forward = nnx.jit(lambda backbone, *images: backbone(*images))


@pytest.fixture
def backbone() -> ResNet18:
    return ResNet18((4, 6, 8), 16, rngs=nnx.Rngs(0))


def test_one_feature_per_8_by_8_cell(backbone: ResNet18) -> None:
    (features,) = forward(backbone, jnp.ones((2, 24, 40)))
    assert features.shape == (2, 3, 5, 16)
    assert features.dtype == jnp.float32


def test_a_pixel_reaches_the_cell_it_lies_in(backbone: ResNet18) -> None:
    backbone.eval()
    image = jax.random.normal(jax.random.key(0), (1, 96, 96))
    (before,) = forward(backbone, image)
    (after,) = forward(backbone, image.at[0, 44, 60].add(5.0))
    change = np.abs(np.asarray(after - before)[0]).sum(-1)
    row, column = np.unravel_index(change.argmax(), change.shape)
    assert abs(row - 44 // 8) <= 1 and abs(column - 60 // 8) <= 1


def test_images_of_several_sizes_keep_their_order(backbone: ResNet18) -> None:
    backbone.eval()
    keys = jax.random.split(jax.random.key(1), 3)
    large0, small, large1 = (
        jax.random.normal(k, s)
        for k, s in zip(keys, [(2, 32, 24), (2, 8, 16), (2, 32, 24)], strict=True)
    )
    together = forward(backbone, large0, small, large1)
    for image, features in zip((large0, small, large1), together, strict=True):
        np.testing.assert_allclose(features, forward(backbone, image)[0], atol=1e-5)


def test_training_statistics_are_those_of_all_images_of_a_call(backbone: ResNet18) -> None:
    ones, twos = jnp.ones((1, 16, 16)), 2 * jnp.ones((1, 8, 8))
    stem = [backbone.conv1(x[..., None]).reshape(-1, 4) for x in (ones, twos)]
    forward(backbone, ones, twos)
    expected = 0.1 * jnp.concatenate(stem).mean(axis=0)
    np.testing.assert_allclose(backbone.bn1.mean[...], expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 12, 16), (1, 16, 12), (1, 0, 8)])
def test_other_sizes_are_refused(backbone: ResNet18, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        backbone(jnp.zeros(shape))
