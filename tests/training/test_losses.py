"""The losses against numbers worked out by hand, and their behaviour at the ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from ifvit.models.coarse_matching import MASKED_LOG_P, log_dual_softmax
from ifvit.models.pose_head import PoseMap
from ifvit.sources.truth import IGNORE, UNMATCHED
from ifvit.training import losses

# Compiled as wholes, as training has them: operation by operation they take a minute to compile.
arcface_loss = jax.jit(losses.arcface_loss)
contrastive_loss = jax.jit(losses.contrastive_loss)
dense_loss = jax.jit(losses.dense_loss)
fine_loss = jax.jit(losses.fine_loss)
log1mexp = jax.jit(losses.log1mexp)
pose_loss = jax.jit(losses.pose_loss)


def test_log1mexp_is_exact_at_both_ends():
    p = np.array([1e-30, 1e-8, 0.1, 0.5, 0.9, 0.999])
    np.testing.assert_allclose(log1mexp(jnp.log(jnp.asarray(p))), np.log1p(-p), rtol=2e-4)
    assert np.isfinite(log1mexp(jnp.array([0.0, -1e4]))).all()
    assert np.isfinite(
        jax.jit(jax.grad(lambda x: log1mexp(x).sum()))(jnp.array([0.0, -1e4, -0.7]))
    ).all()


def test_dense_loss_by_hand():
    """Two cells: one matched with p = ½, one unmatched with p = ¼ in each column."""
    log_p = jnp.log(jnp.array([[[0.5, 0.1], [0.25, 0.25]]]))
    loss = dense_loss(log_p, jnp.array([[0, UNMATCHED]]))
    assert loss == pytest.approx(-np.log(0.5) - 2 * np.log(0.75), rel=1e-6)


def test_dense_loss_of_impostors_is_minus_log_one_minus_p():
    log_p = jnp.log(jnp.array([[[0.2, 0.3], [0.4, 0.1]]]))
    loss = dense_loss(log_p, jnp.full((1, 2), UNMATCHED))
    expected = -(np.log(0.8) + np.log(0.7) + np.log(0.6) + np.log(0.9)) / 2
    assert loss == pytest.approx(expected, rel=1e-6)


def test_fine_loss_is_the_laplace_likelihood_of_the_cells_that_count():
    """By scipy, but for the constant 2 log 2; the cell that does not count is far off."""
    error = np.array([[[0.1, -0.3], [0.5, 0.0], [9.0, 9.0]]], np.float32)
    spread = np.array([[0.2, 0.4, 0.1]], np.float32)
    found = fine_loss(*map(jnp.asarray, (error, spread, [[True, True, False]])))
    likely = scipy.stats.laplace.logpdf(error, scale=spread[..., None]).sum(-1)[0, :2]
    assert found == pytest.approx(-likely.mean() - 2 * np.log(2), rel=1e-5)
    assert fine_loss(*map(jnp.asarray, (error, spread, [[False] * 3]))) == 0


def test_ignored_cells_equal_removed_cells():
    log_p = jnp.log(jnp.array([[[0.5, 0.1], [0.3, 0.6]]]))
    some = dense_loss(log_p, jnp.array([[0, IGNORE]]))
    assert some == pytest.approx(-np.log(0.5), rel=1e-6)
    nothing = dense_loss(log_p, jnp.full((1, 2), IGNORE))
    assert nothing == 0


def test_dense_loss_pulls_hardest_where_it_is_most_wrong():
    """The gradient at a match that has all but no probability must not vanish."""
    similarity = jnp.array([[[-60.0, 60.0], [60.0, -60.0]]])
    matches0 = jnp.array([[0, 1]])
    grad = jax.jit(jax.grad(lambda s: dense_loss(log_dual_softmax(s), matches0)))(similarity)
    assert (np.abs(np.diagonal(grad[0])) > 0.9).all()


def test_dense_loss_is_finite_where_a_match_is_masked():
    log_p = jnp.full((1, 2, 2), MASKED_LOG_P)
    grad = jax.jit(jax.grad(dense_loss))(log_p, jnp.array([[UNMATCHED, IGNORE]]))
    assert np.isfinite(grad).all()


def test_contrastive_loss_is_the_mean_of_a_loop():
    """Every genuine pair, each way, among the impostor pairs of its first print."""
    rng = np.random.default_rng(0)
    similarity, label, scale = rng.normal(size=(7, 7)), np.array([0, 0, 1, 1, 1, 2, 2]), 3.0
    each = []
    for i in range(7):
        others = np.exp(scale * similarity[i][label != label[i]]).sum()
        for j in range(7):
            if i != j and label[i] == label[j]:
                own = np.exp(scale * similarity[i, j])
                each.append(-np.log(own / (own + others)))
    found = contrastive_loss(
        jnp.asarray(similarity, jnp.float32), jnp.asarray(label), jnp.array(scale)
    )
    assert found == pytest.approx(np.mean(each), rel=1e-5)


def test_contrastive_loss_of_one_finger_is_zero_and_its_gradient_finite():
    def loss(similarity):
        return contrastive_loss(similarity, jnp.zeros(4, int), jnp.array(80.0))

    value, grad = jax.jit(jax.value_and_grad(loss))(jnp.full((4, 4), 0.5))
    assert value == pytest.approx(0.0, abs=1e-6) and (grad == 0).all()


def pose_map(core: tuple[int, int], rotation: float, side: int = 6) -> PoseMap:
    """A head that is sure of a cell, (x, y), and right about where the core lies from each."""
    y, x = jnp.meshgrid(jnp.arange(side), jnp.arange(side), indexing="ij")
    apart = jnp.array(core) - jnp.stack([x, y], axis=-1)
    logits = -0.5 * jnp.square(apart).sum(-1) / 0.6**2
    log_p = jax.nn.log_softmax(logits.reshape(-1)).reshape(1, side, side)
    up = jnp.broadcast_to(jnp.array([np.cos(rotation), np.sin(rotation)]), (1, side, side, 2))
    return PoseMap(log_p, apart[None].astype(jnp.float32), up)


def test_pose_loss_is_least_at_the_pose():
    """What is left there is the entropy of the soft target; errors cost by their squares."""
    perfect, counted = pose_map((2, 3), 0.4), jnp.array([True])
    core, rotation = jnp.array([[2.0, 3.0]]), jnp.array([0.4])
    least = float(pose_loss(perfect, core, rotation, counted))
    share = np.exp(np.asarray(perfect.log_p))
    assert least == pytest.approx(-(share * np.asarray(perfect.log_p)).sum(), rel=1e-3)
    beside = perfect._replace(offset=perfect.offset + jnp.array([0.3, 0.4]))
    found = pose_loss(beside, core, rotation, counted)
    assert found - least == pytest.approx(0.5 * 0.25, rel=1e-3)
    turned = pose_loss(perfect, core, rotation + jnp.pi / 3, counted)
    assert turned - least == pytest.approx(2.0, rel=1e-3)  # twice the square of a chord of 1
    assert pose_loss(pose_map((4, 1), 0.4), core, rotation, counted) > least + 3


def test_pose_loss_is_of_the_prints_that_are_counted():
    one, other = pose_map((2, 3), 0.0), pose_map((5, 5), 1.0)
    both = PoseMap(*(jnp.concatenate(parts) for parts in zip(one, other, strict=True)))
    core, rotation = jnp.tile(jnp.array([2.0, 3.0]), (2, 1)), jnp.zeros(2)
    alone = pose_loss(one, core[:1], rotation[:1], jnp.array([True]))
    first = pose_loss(both, core, rotation, jnp.array([True, False]))
    assert first == pytest.approx(float(alone), rel=1e-6)
    assert pose_loss(both, core, rotation, jnp.array([False, False])) == 0


def test_arcface_without_margin_is_scaled_softmax():
    embedding = jnp.array([[0.6, 0.8]])
    loss = arcface_loss(embedding, jnp.eye(2), jnp.array([0]), scale=2.0, margin=0.0)
    assert loss == pytest.approx(np.log(1 + np.exp(2 * (0.8 - 0.6))), rel=1e-5)


def test_arcface_adds_the_margin_to_the_true_angle():
    embedding, margin = jnp.array([[0.6, 0.8]]), 0.4
    turned = np.cos(np.arccos(0.6) + margin)
    loss = arcface_loss(embedding, jnp.eye(2), jnp.array([0]), scale=2.0, margin=margin)
    assert loss == pytest.approx(np.log(1 + np.exp(2 * (0.8 - turned))), rel=1e-5)


def test_arcface_is_finite_at_both_poles_and_ignores_prototype_length():
    embedding = jnp.array([[1.0, 0.0], [-1.0, 0.0]])
    labels = jnp.array([0, 0])

    def loss(e, scale):
        return arcface_loss(e, scale * jnp.eye(2), labels, scale=64.0, margin=0.4)

    assert np.isfinite(jax.jit(jax.grad(loss))(embedding, 1.0)).all()
    assert loss(embedding, 1.0) == pytest.approx(float(loss(embedding, 7.0)), rel=1e-5)
