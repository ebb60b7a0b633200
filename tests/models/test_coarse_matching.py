import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ifvit.models.coarse_matching import (
    MASKED_LOG_P,
    DenseMatchingHead,
    cell_matches,
    log_dual_softmax,
    mutual_matches,
)


def test_dual_softmax_by_hand() -> None:
    log_p = log_dual_softmax(jnp.log(jnp.asarray([[[1.0, 3.0], [1.0, 1.0]]])))
    # Rows: 1/4 3/4 and 1/2 1/2; columns: 1/2 1/2 and 3/4 1/4.
    np.testing.assert_allclose(
        np.exp(log_p[0]),
        [[1 / 4 * 1 / 2, 3 / 4 * 3 / 4], [1 / 2 * 1 / 2, 1 / 2 * 1 / 4]],
        rtol=1e-5,
    )


def test_rows_and_columns_sum_to_at_most_one() -> None:
    p = np.exp(log_dual_softmax(5 * jax.random.normal(jax.random.key(0), (2, 6, 9))))
    assert (p.sum(axis=1) <= 1 + 1e-5).all() and (p.sum(axis=2) <= 1 + 1e-5).all()


def test_masked_cells_count_as_removed() -> None:
    similarity = 3 * jax.random.normal(jax.random.key(0), (1, 5, 6))
    mask0 = jnp.asarray([[True, True, False, True, False]])
    mask1 = jnp.asarray([[True, False, True, True, True, True]])
    log_p = log_dual_softmax(similarity, mask0, mask1)
    rows, columns = np.flatnonzero(mask0[0]), np.flatnonzero(mask1[0])
    alone = log_dual_softmax(similarity[:, rows][:, :, columns])
    np.testing.assert_allclose(log_p[:, rows][:, :, columns], alone, rtol=1e-5, atol=1e-5)
    assert (log_p[0, 2] == MASKED_LOG_P).all() and (log_p[0, :, 1] == MASKED_LOG_P).all()


def test_one_mask_alone_is_enough() -> None:
    similarity = jnp.zeros((1, 2, 3))
    log_p = log_dual_softmax(similarity, None, jnp.asarray([[True, True, False]]))
    np.testing.assert_allclose(np.exp(log_p[0, :, :2]), 1 / 4, rtol=1e-5)


def test_everything_masked_stays_finite_in_value_and_gradient() -> None:
    mask = jnp.zeros((1, 4), bool)

    def total(similarity: jax.Array) -> jax.Array:
        return log_dual_softmax(similarity, mask, mask).sum()

    similarity = jnp.ones((1, 4, 4))
    assert total(similarity) == 16 * MASKED_LOG_P
    assert (jax.grad(total)(similarity) == 0).all()


def test_head_divides_by_root_channels_and_temperature() -> None:
    head = DenseMatchingHead(4, 0.5, rngs=nnx.Rngs(0))
    feat0, feat1 = (jax.random.normal(jax.random.key(i), (1, 3, 4)) for i in (0, 1))
    # The projection starts orthogonal, so that it changes no inner product.
    similarity = np.einsum("bnd,bmd->bnm", feat0, feat1) / 4 / 0.5
    expected = log_dual_softmax(jnp.asarray(similarity))
    np.testing.assert_allclose(head(feat0, feat1), expected, atol=1e-4)


def test_mutual_matches_by_hand() -> None:
    p = np.full((1, 4, 3), 1e-3, np.float32)
    p[0, 0, 2] = 0.9  # a clear match
    p[0, 1, 2] = 0.5  # prefers 2, which prefers 0
    p[0, 2, 0] = 0.2  # mutual, below the threshold
    log_p = jnp.log(p).at[0, 3].set(MASKED_LOG_P)
    matches0, confidence = mutual_matches(log_p, 0.3)
    assert matches0.dtype == jnp.int32
    assert matches0.tolist() == [[2, -1, -1, -1]]
    np.testing.assert_allclose(confidence[0], [0.9, 0.5, 0.2, 0.0], rtol=1e-5)
    assert mutual_matches(log_p, 0.0)[0].tolist() == [[2, -1, 0, -1]]


def test_masked_cells_never_match() -> None:
    assert (mutual_matches(jnp.full((1, 3, 3), MASKED_LOG_P), 0.0)[0] == -1).all()


def test_the_best_partner_and_its_position_by_hand() -> None:
    """Print 1 has 2 rows of 3 cells; cell 0 is divided between two of them, 1 lies in a corner."""
    p = np.full((1, 2, 6), 1e-9, np.float32)
    p[0, 0, [1, 2]] = 0.6, 0.2
    p[0, 1, 5] = 0.5
    partner0, confidence, position, partner1 = cell_matches(jnp.log(p), 3)
    assert partner0.tolist() == [[1, 5]]
    np.testing.assert_allclose(confidence, [[0.6, 0.5]], rtol=1e-5)
    np.testing.assert_allclose(position, [[[1.25, 0.0], [2.0, 1.0]]], atol=1e-5)
    assert partner1[0, 1] == 0 and partner1[0, 2] == 0 and partner1[0, 5] == 1


def test_the_reduced_matrix_says_what_registration_reads_of_it() -> None:
    log_p = log_dual_softmax(5 * jax.random.normal(jax.random.key(3), (2, 16, 16)))
    partner0, confidence, position, partner1 = map(np.asarray, cell_matches(log_p, 4))
    matches0, expected = mutual_matches(log_p, 0.05)
    mutual = np.take_along_axis(partner1, partner0, 1) == np.arange(16)
    accepted = mutual & (confidence > 0.05)
    np.testing.assert_array_equal(np.where(accepted, partner0, -1), matches0)
    np.testing.assert_allclose(confidence, expected)
    assert accepted.any()
    for pair, cell in np.argwhere(accepted):
        p = np.exp(np.asarray(log_p[pair, cell])).reshape(4, 4)
        row, column = divmod(int(partner0[pair, cell]), 4)
        near = [
            (y, x) for y in range(4) for x in range(4) if max(abs(y - row), abs(x - column)) < 2
        ]
        mean = sum(p[y, x] * np.array([x, y]) for y, x in near) / sum(p[at] for at in near)
        np.testing.assert_allclose(position[pair, cell], mean, rtol=1e-4)
