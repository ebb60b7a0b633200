"""Formulas that are written once for arrays of NumPy and of JAX.

Matching computes with NumPy, so that it waits for no compiler; training draws prints on
accelerators, with JAX. What both do is one function, which uses the library of its arguments.
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


def library_of(array: object) -> Any:
    """Return the module, ``numpy`` or ``jax.numpy``, that computes with an array."""
    if isinstance(array, np.ndarray | np.generic | float | int):
        return np
    import jax.numpy as jnp

    return jnp


def product(first: Any, second: Any) -> Any:
    """Return the matrix product to float32 precision: accelerators would round its factors."""
    library = library_of(second if isinstance(first, np.ndarray) else first)
    return (
        np.matmul(first, second)
        if library is np
        else library.matmul(first, second, precision="highest")
    )
