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
from jaxtyping import Float, Int

STRIP = 2
"""Number of rows of cells that are eliminated at once: second differences reach no farther."""

Grid = tuple[int, int, float, float]
"""Rows and columns of a plate, and what its bending and its size cost."""


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
    ``pull`` is p = S v where v are the known values, 0 where S is; R fields are found at once.
    Differences are per cell. ``bending`` and ``staying`` are positive, so that there is exactly one
    such field.
    """
    rows, columns, inner, fields = pull.shape
    grid, known = (rows, columns, bending, staying), sure.reshape(-1, inner, inner)
    right, at = pull.reshape(-1, inner, fields), np.flatnonzero(known.any(axis=(1, 2)))
    # Up to a third of the cells, one system for these alone takes less time than strips of all.
    if 3 * len(at) <= len(known):
        return _among(at, known[at], right[at], grid).reshape(pull.shape)
    return _by_strips(known, right, grid).reshape(pull.shape)


def _among(
    at: Int[np.ndarray, " n"],
    known: Float[np.ndarray, "n K K"],
    right: Float[np.ndarray, "n K R"],
    grid: Grid,
) -> Float[np.ndarray, "N KR"]:
    """Return the field where only the cells ``at`` know something, by one system for their values.

    A plate that knows nothing answers a pull q with G q, G the inverse of its cost. The cells pull
    with q = p - S d where they lie at d = G q, so that (1 + S G) q = p.
    """
    answers, (count, inner, fields) = _inverse(grid)[:, at], right.shape
    size = count * inner
    system = np.einsum("iab,ij->iajb", known, answers[at]).reshape(size, size)
    system.flat[:: size + 1] += 1
    pulls = np.linalg.solve(system, right.reshape(size, fields))
    return answers @ pulls.reshape(count, inner * fields)


def _by_strips(
    known: Float[np.ndarray, "N K K"], right: Float[np.ndarray, "N K R"], grid: Grid
) -> Float[np.ndarray, "NK R"]:
    """Return the field by elimination of one strip of rows after the other."""
    (inner, fields), solved = right.shape[1:], list[tuple[np.ndarray, np.ndarray]]()
    strips, links = _strips(grid, inner)
    size, right = STRIP * grid[1] * inner, right.reshape(-1, fields)
    for place, strip in enumerate(strips):
        matrix, first = strip.copy(), place * STRIP * grid[1]
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
    return np.vstack(field[::-1])


@lru_cache(maxsize=32)
def _strips(grid: Grid, inner: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the cost of K fields as a matrix in strips: the part within each strip, and the part
    from each strip to the next."""
    cost, size = np.kron(_cost(grid), np.eye(inner)), STRIP * grid[1] * inner
    places = [slice(first, first + size) for first in range(0, len(cost), size)]
    links = [cost[then, one] for one, then in pairwise(places)]
    return [cost[one, one] for one in places], links


@lru_cache(maxsize=8)
def _inverse(grid: Grid) -> Float[np.ndarray, "N N"]:
    return np.linalg.inv(_cost(grid))


def _cost(grid: Grid) -> Float[np.ndarray, "N N"]:
    """Return the cost of a field's bending and of its size, as a matrix over the cells."""
    rows, columns, bending, staying = grid
    (twice_y, once_y), (twice_x, once_x) = (
        [_differences(count, order) for order in (2, 1)] for count in (rows, columns)
    )
    bent = np.kron(twice_y, np.eye(columns)) + np.kron(np.eye(rows), twice_x)
    return bending * (bent + 2 * np.kron(once_y, once_x)) + staying * np.eye(rows * columns)


def _differences(count: int, order: int) -> Float[np.ndarray, "count count"]:
    """Return D'D, where D takes the differences of some order along a line."""
    taken = np.diff(np.eye(count), order, axis=0)
    return taken.T @ taken
