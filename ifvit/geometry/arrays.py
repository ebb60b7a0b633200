"""Formulas that are written once for arrays of NumPy and of JAX.

Matching computes with NumPy, so that it waits for no compiler; training draws prints on
accelerators, with JAX. What both do is one function, which asks its arguments for their library:
``array.__array_namespace__()`` is ``numpy`` or ``jax.numpy``. Source: the array API standard,
https://data-apis.org/array-api.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from jax import Array

    Arrays = TypeVar("Arrays", np.ndarray, Array)
    """Arrays of one library, NumPy or JAX; the result is of the same library."""
else:
    # Only training has JAX; what is checked at run time is shape and kind of number.
    Arrays = Any


def product(first: Any, second: Any) -> Any:
    """Return the matrix product to float32 precision: accelerators would round its factors."""
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return np.matmul(first, second)
    library = (second if isinstance(first, np.ndarray) else first).__array_namespace__()
    return library.matmul(first, second, precision="highest")
