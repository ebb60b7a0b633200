"""Formulas that are written once for NumPy's arrays and for JAX's.

A print in use is NumPy's, and no compiler is waited for; training draws prints on accelerators, in
JAX. What both do is one function, which computes with the library that its arrays are of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from jax import Array

    Arrays = TypeVar("Arrays", np.ndarray, Array)
    """Arrays of one library, NumPy's or JAX's, whose own the result is."""
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
    """Return the matrix product, exact to float32: accelerators would round its factors."""
    library = library_of(second if isinstance(first, np.ndarray) else first)
    return (
        np.matmul(first, second)
        if library is np
        else library.matmul(first, second, precision="highest")
    )
