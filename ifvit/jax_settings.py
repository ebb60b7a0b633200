"""The promotion rules of JAX that the models are written for, whatever a notebook has set.

A program that chooses strict promotion of types or ranks for its own code must be able to call the
models. Besides, a process that was forked from one in which JAX had computed would hang, since it
lacks JAX's threads: this is refused here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_computing: int | None = None
"""The process in which JAX has begun to compute; a fork takes the number with it."""


@contextmanager
def usual_promotion() -> Iterator[None]:
    """Within this context, let JAX promote types and ranks by its defaults, in this thread.

    It can also decorate functions. Raises ValueError in a process that was forked after JAX had
    computed.
    """
    import jax

    _check_not_forked()
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def _check_not_forked() -> None:
    global _computing
    if _computing is None:
        _computing = os.getpid()
    if _computing != os.getpid():
        raise ValueError(
            f"process {os.getpid()} was forked from {_computing} after JAX had computed there, and "
            'would hang: start it by multiprocessing.get_context("spawn"), or use weights with '
            "graphs (`ifvit export-onnx`), which need no JAX"
        )
