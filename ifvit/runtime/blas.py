"""Matrix products by one thread.

Those of a print are small: threads that share one wait for each other for longer than it takes, on
a busy machine ten times as long. Cores are better used by a pair each
(:meth:`ifvit.matcher.Matcher.match_pairs`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
R = TypeVar("R")


def by_one_thread(work: Callable[P, R]) -> Callable[P, R]:
    """Let a function's matrix products be computed by the thread that calls it."""

    @wraps(work)
    def alone(*args: P.args, **kwargs: P.kwargs) -> R:
        with _controller().limit(limits=1, user_api="blas"):
            return work(*args, **kwargs)

    return alone


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
