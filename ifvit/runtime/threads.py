"""Work spread over threads, one for each core.

NumPy, OpenCV and ONNX Runtime release the interpreter's lock while they compute, so that threads
suffice and no processes are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ifvit.data.store import cores

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(work: Callable[[T], R], of: Sequence[T]) -> list[R]:
    """Return the results of ``work`` for all items, in their order, using one thread per core.

    Raises the error of the first item that fails.
    """
    with ThreadPoolExecutor(min(cores(), max(len(of), 1))) as pool:
        return list(pool.map(work, of))
