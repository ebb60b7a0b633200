"""A thin plate over the grid of cells: the smoothest field that what is known of the cells allows.

What cells tell of their displacement, each as surely as it may, is laid under a plate whose bending
costs. So a field follows skin that is stretched unevenly, where means over a neighbourhood flatten
it; and it goes on straight where nothing is known. Source: thin-plate smoothing, Wahba, "Spline
models for observational data", SIAM 1990, section 2.4, with differences in place of derivatives.
"""

from __future__ import annotations

from functools import cache
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
    strips, links = _bent(rows, columns, inner)
    solved: list[tuple[np.ndarray, np.ndarray]] = []
    for place, strip in enumerate(strips):
        matrix, own = bending * strip, right[place * size : (place + 1) * size]
        matrix[np.diag_indices(len(matrix))] += staying
        _add_cells(matrix, known[place * STRIP * columns :])
        if place:
            link, (before, value) = bending * links[place - 1], solved[-1]
            matrix -= link @ before
            own = own - link @ value
        then = bending * links[place].T if place < len(links) else np.zeros((len(matrix), 0))
        found = np.linalg.solve(matrix, np.hstack([then, own]))
        solved.append((found[:, :-fields], found[:, -fields:]))
    field = [solved[-1][1]]
    for follows, value in reversed(solved[:-1]):
        field.append(value - follows @ field[-1])
    return np.vstack(field[::-1]).reshape(pull.shape)


def _add_cells(matrix: Float[np.ndarray, "S S"], known: Float[np.ndarray, "N K K"]) -> None:
    """Add what each cell knows of itself on the diagonal."""
    inner = known.shape[-1]
    cells = np.arange(len(matrix) // inner)
    blocks = matrix.reshape(len(cells), inner, len(cells), inner)
    blocks[cells, :, cells, :] += known[: len(cells)]


@cache
def _bent(rows: int, columns: int, inner: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the cost of bending as a matrix, in strips: within each, and from each to the next."""
    twice_y, once_y = (_differences(rows, order) for order in (2, 1))
    twice_x, once_x = (_differences(columns, order) for order in (2, 1))
    flat = np.eye(columns)

    def between(to: range, of: range) -> Float[np.ndarray, "S T"]:
        def cost(y: int, z: int) -> Float[np.ndarray, "columns columns"]:
            return (y == z) * twice_x + twice_y[y, z] * flat + 2 * once_y[y, z] * once_x

        return np.kron(np.block([[cost(y, z) for z in of] for y in to]), np.eye(inner))

    strips = [range(first, min(first + STRIP, rows)) for first in range(0, rows, STRIP)]
    links = [between(then, one) for one, then in pairwise(strips)]
    return [between(one, one) for one in strips], links


def _differences(count: int, order: int) -> Float[np.ndarray, "count count"]:
    """Return D'D of the differences of an order along a line."""
    taken = np.diff(np.eye(count), order, axis=0)
    return taken.T @ taken
