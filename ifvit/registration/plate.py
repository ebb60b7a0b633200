"""A thin plate over the grid of cells: the smoothest field that fits the cells' known values.

The displacements of the cells, each weighted by how certain it is, are fitted by a plate whose
bending has a cost. So the field follows skin that is stretched unevenly, which means over a
neighbourhood would flatten, and it continues straight where nothing is known. Source: thin-plate
smoothing, Wahba, "Spline models for observational data", SIAM 1990, section 2.4, with differences
in place of derivatives.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from jaxtyping import Float

STRIP = 2
"""Number of rows of cells that are eliminated at once: second differences reach no farther."""


def plate(
    sure: Float[np.ndarray, "h w K K"],
    pull: Float[np.ndarray, "h w K R"],
    bending: float,
    staying: float,
) -> Float[np.ndarray, "h w K R"]:
    """Return the field d of least cost.

    The cost is the sum over the cells of d' S d - 2 p' d, of ``bending`` · (d_xx² + 2 d_xy² +
    d_yy²) for the field's bending, and of ``staying`` · d² for its size.

    ``sure`` is S, the certainty of a cell's K values, a symmetric and non-negative matrix;
    ``pull`` is p = S v where v are the known values; R fields are found at once. Differences are
    per cell. ``bending`` and ``staying`` are positive, so that there is exactly one such field. It
    is found by elimination of one strip of rows after the other.
    """
    rows, columns, inner, fields = pull.shape
    size = STRIP * columns * inner
    known = sure.reshape(rows * columns, inner, inner)
    right = pull.reshape(-1, fields)
    strips, links = _bent(rows, columns, inner, bending, staying)
    solved: list[tuple[np.ndarray, np.ndarray]] = []
    for place, strip in enumerate(strips):
        matrix, first = strip.copy(), place * STRIP * columns
        cells = len(matrix) // inner
        # A view of the diagonal, where each cell's own certainty is added.
        own = np.einsum("iaib->iab", matrix.reshape(cells, inner, cells, inner))
        own += known[first : first + cells]
        value = right[place * size : (place + 1) * size]
        if place:
            before, then = solved[-1]
            matrix -= links[place - 1] @ before
            value = value - links[place - 1] @ then
        following = links[place].T if place < len(links) else matrix[:, :0]
        found = np.linalg.solve(matrix, np.concatenate([following, value], axis=1))
        solved.append((found[:, :-fields], found[:, -fields:]))
    field = [solved[-1][1]]
    for follows, value in reversed(solved[:-1]):
        field.append(value - follows @ field[-1])
    return np.vstack(field[::-1]).reshape(pull.shape)


@lru_cache(maxsize=32)
def _bent(
    rows: int, columns: int, inner: int, bending: float, staying: float
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the cost of bending and of the field's size as a matrix in strips: the part within
    each strip, and the part from each strip to the next."""
    twice_y, once_y = (_differences(rows, order) for order in (2, 1))
    twice_x, once_x = (_differences(columns, order) for order in (2, 1))
    flat = np.eye(columns)

    def between(to: range, of: range) -> Float[np.ndarray, "S T"]:
        def cost(y: int, z: int) -> Float[np.ndarray, "columns columns"]:
            bent = (y == z) * twice_x + twice_y[y, z] * flat + 2 * once_y[y, z] * once_x
            return bending * bent + (y == z) * staying * flat

        whole = np.block([[cost(y, z) for z in of] for y in to])
        return np.kron(whole, np.eye(inner))

    strips = [range(first, min(first + STRIP, rows)) for first in range(0, rows, STRIP)]
    links = [between(then, one) for one, then in pairwise(strips)]
    return [between(one, one) for one in strips], links


def _differences(count: int, order: int) -> Float[np.ndarray, "count count"]:
    """Return D'D, where D takes the differences of some order along a line."""
    taken = np.diff(np.eye(count), order, axis=0)
    return taken.T @ taken
