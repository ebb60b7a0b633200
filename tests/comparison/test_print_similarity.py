import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.comparison.print_similarity import (
    SHRINKAGE,
    map_similarity,
    template_similarity,
    unit_index,
)
from ifvit.features.coder import INT8, Template


def maps(seed: int, count: int, side: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Return random dense maps: unit vectors where the mask is, 0 elsewhere."""
    rng = np.random.default_rng(seed)
    mask = rng.random((count, side, side)) > 0.3
    cells = rng.normal(size=(count, side, side, 8)).astype(np.float32)
    return cells / np.linalg.norm(cells, axis=-1, keepdims=True) * mask[..., None], mask


def by_hand(cells0, mask0, cells1, mask1, reach: int) -> float:
    """Return the similarity of two maps cell by cell, in the way of its definition."""
    side, best = len(mask0), -1.0
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            total = shown = 0.0
            for y in range(side):
                for x in range(side):
                    v, u = y + down, x + right
                    if 0 <= v < side and 0 <= u < side and mask0[y, x] and mask1[v, u]:
                        total += float(cells0[y, x] @ cells1[v, u])
                        shown += 1
            best = max(best, total / (shown + SHRINKAGE))
    return best


@pytest.mark.parametrize("reach", [0, 1, 2])
def test_the_matrix_products_are_the_definition(reach: int) -> None:
    (cells0, mask0), (cells1, mask1) = maps(0, 3), maps(1, 2)
    found = map_similarity(cells0, mask0, cells1, mask1, reach)
    expected = [
        [by_hand(cells0[i], mask0[i], cells1[j], mask1[j], reach) for j in range(2)]
        for i in range(3)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(
        map_similarity(*map(jnp.asarray, (cells0, mask0, cells1, mask1)), reach), found, atol=1e-6
    )
    np.testing.assert_allclose(
        map_similarity(cells1, mask1, cells0, mask0, reach), found.T, atol=1e-6
    )


def test_a_map_that_lies_a_cell_off_is_found() -> None:
    cells, mask = maps(2, 1, side=12)
    moved, where = np.roll(cells, 1, axis=2), np.roll(mask, 1, axis=2)
    moved[:, :, 0], where[:, :, 0] = 0, False
    shown = where.sum()
    assert map_similarity(cells, mask, moved, where, 0)[0, 0] < 0.2
    found = map_similarity(cells, mask, moved, where, 1)[0, 0]
    assert found == pytest.approx(shown / (shown + SHRINKAGE), abs=1e-5)


def test_few_cells_say_little() -> None:
    cells, mask = maps(3, 1, side=20)
    few = np.zeros_like(mask)
    few[:, :2, :3] = mask[:, :2, :3]
    assert map_similarity(cells, mask, cells, mask)[0, 0] > 0.9
    assert map_similarity(cells, mask, cells * few[..., None], few)[0, 0] < 0.25


def test_templates_are_compared_as_they_are_stored() -> None:
    cells, mask = maps(4, 2, side=20)
    index = np.array([[127, 0, 12], [-127, 40, 3]], np.int8)
    stored = np.round(INT8 * cells).astype(np.int8)
    both = [Template(stored[i], mask[i], index[i], (0.0, 0.0), 0.0, 1.0) for i in range(2)]
    of_maps, of_index = template_similarity(*both)
    # A hundred-and-twenty-seventh of rounding in each number changes a mean by less than that.
    expected = map_similarity(cells[:1], mask[:1], cells[1:], mask[1:])[0, 0]
    assert of_maps == pytest.approx(expected, abs=0.005)
    one, two = index.astype(float)
    cosine = one @ two / np.linalg.norm(one) / np.linalg.norm(two)
    assert of_index == pytest.approx(cosine, abs=1e-6)
    np.testing.assert_allclose(np.linalg.norm(unit_index(index), axis=1), 1, atol=1e-6)
