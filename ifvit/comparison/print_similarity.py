"""How alike two dense maps are: compared cell by cell, under the few shifts by which poses err."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ifvit.features.coder import INT8, Template

REACH = 1
"""Cells by which one map is shifted against the other, each way along each axis."""

SHRINKAGE = 24.0
"""Number of cells of cosine 0 that are added to every comparison: it lowers the similarity of maps
that have few cells in common."""


def map_similarity(
    cells0: Float[Any, "P h w K"],
    mask0: Bool[Any, "P h w"],
    cells1: Float[Any, "Q h w K"],
    mask1: Bool[Any, "Q h w"],
    reach: int = REACH,
) -> Any:
    """Return the mean cosine of the cells that both prints show, at the best of few shifts: (P, Q).

    All of P maps are compared with all of Q, in NumPy or JAX, by a matrix product for each shift.
    :data:`SHRINKAGE` cells of cosine 0 are in every mean, so that it lies within ±1.
    """
    library = cells0.__array_namespace__()
    flat0, count0 = cells0.reshape(len(cells0), -1), mask0.astype(cells0.dtype)
    count0 = count0.reshape(len(cells0), -1)
    best = None
    for moved, shown in shifted(cells1, mask1, reach):
        agree = flat0 @ moved.reshape(len(cells1), -1).T
        both = count0 @ shown.reshape(len(cells1), -1).T
        mean = agree / (both + SHRINKAGE)
        best = mean if best is None else library.maximum(best, mean)
    return best


def shifted(cells: Any, mask: Any, reach: int = REACH) -> Iterator[tuple[Any, Any]]:
    """Yield P maps and their masks under every shift that a comparison tries, 0 outside the map.

    Shapes are (P, h, w, K) and (P, h, w), in NumPy or JAX; masks get the type of the cells.
    """
    library, (_, height, width) = cells.__array_namespace__(), mask.shape
    margin = (reach, reach)
    padded = library.pad(cells, ((0, 0), margin, margin, (0, 0)))
    shown = library.pad(mask.astype(cells.dtype), ((0, 0), margin, margin))
    for row, column in product(range(2 * reach + 1), repeat=2):
        part = (slice(None), slice(row, row + height), slice(column, column + width))
        yield padded[part], shown[part]


def template_similarity(template0: Template, template1: Template) -> tuple[float, float]:
    """Return how alike two templates' dense maps and index vectors are, each in [-1, 1]."""
    cells = [one.cells[None].astype(np.float32) / INT8 for one in (template0, template1)]
    of_maps = map_similarity(cells[0], template0.mask[None], cells[1], template1.mask[None])
    index0, index1 = (unit_index(one.index[None]) for one in (template0, template1))
    return float(of_maps[0, 0]), float((index0 @ index1.T)[0, 0])


def unit_index(index: np.ndarray) -> Float[np.ndarray, "P E"]:
    """Return index vectors of templates, int8, as unit vectors."""
    values = index.astype(np.float32)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)
