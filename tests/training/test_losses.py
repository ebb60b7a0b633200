"""The three losses against numbers worked out by hand, and their behaviour at the ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.models.coarse_matching import MASKED_LOG_P, log_dual_softmax
from ifvit.sources.truth import IGNORE, UNMATCHED
from ifvit.training.losses import arcface_loss, dense_loss, embedding_loss, log1mexp, template_loss


def test_log1mexp_is_exact_at_both_ends():
    p = np.array([1e-30, 1e-8, 0.1, 0.5, 0.9, 0.999])
    np.testing.assert_allclose(log1mexp(jnp.log(jnp.asarray(p))), np.log1p(-p), rtol=2e-4)
    assert np.isfinite(log1mexp(jnp.array([0.0, -1e4]))).all()
    assert np.isfinite(jax.grad(lambda x: log1mexp(x).sum())(jnp.array([0.0, -1e4, -0.7]))).all()


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
    grad = jax.grad(lambda s: dense_loss(log_dual_softmax(s), matches0))(similarity)
    assert (np.abs(np.diagonal(grad[0])) > 0.9).all()


def test_dense_loss_is_finite_where_a_match_is_masked():
    log_p = jnp.full((1, 2, 2), MASKED_LOG_P)
    grad = jax.grad(dense_loss)(log_p, jnp.array([[UNMATCHED, IGNORE]]))
    assert np.isfinite(grad).all()


def test_embedding_loss_by_hand():
    e0 = jnp.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    e1 = jnp.array([[0.6, 0.8], [0.6, 0.8], [0.0, 1.0]])
    loss = embedding_loss(e0, e1, jnp.array([True, False, False]), margin=0.4)
    assert loss == pytest.approx((0.4 + 0.2 + 0.0) / 3, rel=1e-6)
    some = jnp.array([True, True, False])
    counted = embedding_loss(e0, e1, jnp.array([True, False, False]), 0.4, some)
    assert counted == pytest.approx((0.4 + 0.2) / 2, rel=1e-6)


def test_template_loss_by_hand():
    """Rows 0 and 1 are of one finger, 3 of another; row 2 is no template."""
    embedding = jnp.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.8, 0.6]])
    label, alone = jnp.array([5, 5, 5, 7]), jnp.array([True, True, False, True])
    loss = template_loss(embedding, label, alone, margin=0.4)
    impostor = ((0.8 - 0.4) + (0.96 - 0.4)) / 2
    assert loss == pytest.approx((1 - 0.6) + impostor, rel=1e-5)
    assert template_loss(embedding, label, jnp.zeros(4, bool), margin=0.4) == 0.0
    # Templates of one finger alone have no impostors.
    one = template_loss(embedding, jnp.full(4, 5), alone, margin=0.4)
    assert one == pytest.approx(((1 - 0.6) + (1 - 0.8) + (1 - 0.96)) / 3, rel=1e-5)


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

    assert np.isfinite(jax.grad(loss)(embedding, 1.0)).all()
    assert loss(embedding, 1.0) == pytest.approx(float(loss(embedding, 7.0)), rel=1e-5)
