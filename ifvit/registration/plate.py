"""A thin plate over the grid of cells: the smoothest field that what is known of the cells allows.

What cells tell of their displacement, each as surely as it may, is laid under a plate whose bending
costs. So a field follows skin that is stretched unevenly, where means over a neighbourhood flatten
it; and it goes on straight where nothing is known. Source: thin-plate smoothing, Wahba, "Spline
models for observational data", SIAM 1990, section 2.4, with differences in place of derivatives.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from jaxtyping import Float

STRIP = 2
"""Rows of cells that are eliminated at once: second differences reach no farther."""


def plate(
    sure: Float[np.ndarray, "h w K K"],
    pull: Float[np.ndarray, "h w K R"],
    bending: float,
    staying: float,
) -> Float[np.ndarray, "h w K R"]:
    """Return the field d of least cost: summed over the cells, d' S d - 2 p' d, and its bending.

    Bending costs ``bending`` · (d_xx² + 2 d_xy² + d_yy²), and being anywhere ``staying`` · d².

    ``sure`` is S, how surely a cell's K values are known, symmetric and not negative; ``pull`` is
    p = S v where v is what it says they are; R fields are found at once. Differences are per cell.
    ``bending`` and ``staying`` are positive, so that there is one such field. It is found by
    elimination of one strip of rows after the other.
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
        # What each cell knows of itself stands on the diagonal: a view of it.
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
    """Return the cost of bending, and of being anywhere, as a matrix in strips: within each strip,
    and from each to the next."""
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
    """Return D'D of the differences of an order along a line."""
    taken = np.diff(np.eye(count), order, axis=0)
    return taken.T @ taken
