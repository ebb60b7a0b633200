"""Matrix products computed by a single thread.

The matrix products of a print are small: threads that share one wait for each other longer than the
product takes, on a busy machine ten times as long. Cores are better used by one pair each
(:meth:`ifvit.matcher.Matcher.match_pairs`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
R = TypeVar("R")


def by_one_thread(work: Callable[P, R]) -> Callable[P, R]:
    """Let a function's matrix products be computed by the thread that calls it."""

    @wraps(work)
    def alone(*args: P.args, **kwargs: P.kwargs) -> R:
        with _limit:
            return work(*args, **kwargs)

    return alone


class _Limit:
    """One limit shared by all threads at work: the first one sets it, the last one removes it.

    If each thread set and restored it alone, one could take another's limit for the setting of the
    process and restore that.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._set: AbstractContextManager | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._set = _controller().limit(limits=1, user_api="blas")
                self._set.__enter__()
            self._inside += 1

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._set is not None:
                self._set.__exit__(None, None, None)


_limit = _Limit()


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
