import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ifvit.models.fine_matching import LEAST_SPREAD, FineMatchingHead
from ifvit.training.losses import fine_loss

D = 6


def features(seed: int, *shape: int) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


def given(seed: int = 0):
    """Return maps and tokens of three pairs with 5 and 7 cells, and a partner of each cell."""
    maps = features(seed, 3, 5, D), features(seed + 1, 3, 7, D)
    feats = features(seed + 2, 3, 5, D), features(seed + 3, 3, 7, D)
    return maps, feats, jax.random.randint(jax.random.key(seed), (3, 5), 0, 7)


def test_an_untrained_head_corrects_nothing_and_believes_in_something() -> None:
    found = FineMatchingHead(D, rngs=nnx.Rngs(0))(*given())
    assert found.correction.shape == (3, 5, 2) and not found.correction.any()
    assert found.spread.shape == (3, 5) and (found.spread > LEAST_SPREAD).all()


def test_a_cell_is_judged_by_its_own_partner_alone() -> None:
    head = FineMatchingHead(D, rngs=nnx.Rngs(0))
    head.last.kernel[...] = features(9, *head.last.kernel.shape)
    maps, feats, partner = given()
    before = head(maps, feats, partner)
    at = int(partner[1, 2])
    for changed in (
        ((maps[0], maps[1].at[1, at].add(1.0)), feats),
        (maps, (feats[0], feats[1].at[1, at].add(1.0))),
    ):
        moved = np.abs(np.asarray(head(*changed, partner).correction - before.correction)).sum(-1)
        expected = np.zeros((3, 5), bool)
        expected[1] = np.asarray(partner[1]) == at
        np.testing.assert_array_equal(moved > 0, expected)


@pytest.mark.heavy
def test_it_learns_a_shift_that_both_features_tell_of_and_where_it_cannot_know() -> None:
    """The shift is the difference of two features; every other cell's is noise beside it."""
    head = FineMatchingHead(D, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(head, optax.adam(3e-3), wrt=nnx.Param)
    noisy = jnp.arange(5) % 2 == 1

    def example(seed: jax.Array):
        keys = jax.random.split(jax.random.key(seed), 4)
        maps = tuple(jax.random.normal(key, (16, 5, D)) for key in keys[:2])
        maps = maps[0].at[..., -1].set(noisy), maps[1]
        partner = jnp.tile(jnp.arange(5), (16, 1))
        shift = 0.3 * (maps[0][..., :2] - maps[1][..., :2])
        noise = noisy[None, :, None] * jax.random.laplace(keys[2], shift.shape)
        return (maps, (jnp.zeros_like(maps[0]),) * 2, partner), shift + noise

    @nnx.jit
    def step(head: FineMatchingHead, optimizer: nnx.Optimizer, seed: jax.Array) -> None:
        inputs, truth = example(seed)

        def loss(head: FineMatchingHead) -> jax.Array:
            found = head(*inputs)
            return fine_loss(found.correction - truth, found.spread, jnp.ones((16, 5), bool))

        optimizer.update(head, nnx.grad(loss)(head))

    for seed in range(400):
        step(head, optimizer, jnp.uint32(seed))
    inputs, truth = example(jnp.uint32(1000))
    found = head(*inputs)
    missed = np.abs(np.asarray(found.correction - truth)).mean(axis=(0, 2))
    spread = np.asarray(found.spread).mean(axis=0)
    quiet = ~np.asarray(noisy)
    assert missed[quiet].max() < 0.1 and spread[quiet].max() < 0.2
    # A Laplace distribution of scale 1 is a mean distance of 1 away.
    assert spread[~quiet].min() > 0.6
