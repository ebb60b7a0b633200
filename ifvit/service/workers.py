"""The threads that do a service's work, with a queue of limited length before them."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

from ifvit.service.faults import ServiceError

P = ParamSpec("P")
R = TypeVar("R")


class Workers:
    """Threads with a queue of limited length before them.

    A request takes a place before its body is read, so that no more bodies are in memory than there
    are places. Work that has begun cannot be stopped: it keeps its place until its thread is free.
    """

    def __init__(self, threads: int, waiting: int, seconds: float) -> None:
        """Take the number of threads, of requests that wait for one, and a request's time limit."""
        self.places, self._threads, self._seconds = threads + waiting, threads, seconds
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ifvit")
        self._lock, self._taken, self._mean_s = threading.Lock(), 0, 1.0

    @property
    def taken(self) -> int:
        """Return how many requests are processed or wait."""
        return self._taken

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place; raises :class:`ServiceError` where all are taken."""
        self._take()
        try:
            yield
        finally:
            self._give_back()

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the result of ``work`` in one of the threads, or raise its error.

        Raises :class:`ServiceError` where it takes longer than the time limit.
        """

        def timed() -> R:
            start = time.perf_counter()
            try:
                return work(*args, **kwargs)
            finally:
                self._mean_s += 0.1 * (time.perf_counter() - start - self._mean_s)

        future = self._pool.submit(timed)
        try:
            return await asyncio.wait_for(
                asyncio.shield(asyncio.wrap_future(future)), self._seconds
            )
        except TimeoutError as error:
            raise ServiceError(
                "out_of_time",
                f"no answer within {self._seconds:g} s: it was given up",
                self._again(),
            ) from error
        finally:
            if not future.done() and not future.cancel():
                with self._lock:
                    self._taken += 1
                future.add_done_callback(lambda _: self._give_back())

    def close(self) -> None:
        """Accept no more work, and drop the work that waits for a thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _take(self) -> None:
        with self._lock:
            if self._taken >= self.places:
                raise ServiceError(
                    "busy",
                    f"all {self.places} places are taken: {self._threads} requests are worked on, "
                    "the others wait",
                    self._again(),
                )
            self._taken += 1

    def _give_back(self) -> None:
        with self._lock:
            self._taken -= 1

    def _again(self) -> dict[str, str]:
        """Return the seconds after which a place should be free."""
        return {"Retry-After": str(max(1, math.ceil(self._mean_s)))}
