"""Work for many things at once: a thread for each core.

NumPy, OpenCV and ONNX Runtime compute outside of the interpreter's lock, so threads do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(work: Callable[[T], R], of: Sequence[T]) -> list[R]:
    """Return what ``work`` makes of each, in their order, by as many threads as there are cores.

    Raises what the first of them raises that fails.
    """
    with ThreadPoolExecutor(min(os.cpu_count() or 1, max(len(of), 1))) as pool:
        return list(pool.map(work, of))
