"""The rules of JAX that the models are written for, whatever a notebook has set for itself.

Strict promotion of types or ranks is a choice of who writes a program, not of who calls one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def usual_promotion() -> Iterator[None]:
    """Let JAX promote types and ranks as it does by default, in this thread, while inside.

    It decorates functions too.
    """
    import jax

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield
