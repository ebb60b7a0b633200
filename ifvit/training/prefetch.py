"""Batches made while the step before runs, and how long a step had to wait for its batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import jax

from ifvit.jax_settings import usual_promotion

Batch = TypeVar("Batch")


class Prefetch(Generic[Batch]):
    """Batch ``i`` when it is asked for; ``i + 1`` is begun, in a thread, as ``i`` is handed out.

    A batch is a function of its number, so that what was made ahead is no state: a run that stops
    drops it, and one that goes on begins with the number that it asks for.
    """

    def __init__(self, make: Callable[[int], Batch], end: int, thread: bool | None) -> None:
        """``make(i)`` makes batch ``i``; what it raises is raised to the one who asks for that.

        Batch ``end`` and those after it are not begun. Without a ``thread`` a batch is made when it
        is asked for; None: where the steps run on a CPU.
        """
        if thread is None:
            # A CPU that trains has no core to spare, and two steps at once share its caches.
            thread = jax.default_backend() != "cpu"
        self._make = make
        self._end = end
        self._pool = ThreadPoolExecutor(1, "batches") if thread else None
        self._begun: tuple[int, Future[Batch]] | None = None
        self._step: Any = None
        self.waited = 0.0
        """Seconds in which a step could have run but for its batch."""

    def __call__(self, index: int) -> Batch:
        """Return batch ``index``, complete."""
        if self._pool is None:
            return self._timed(lambda: self._complete(index))
        if self._begun is None or self._begun[0] != index:
            self._begun = index, self._pool.submit(self._complete, index)
        future = self._begun[1]
        batch = future.result() if future.done() else self._timed(future.result)
        self._begun = None
        if index + 1 < self._end:
            self._begun = index + 1, self._pool.submit(self._complete, index + 1)
        return batch

    def of(self, losses: dict) -> dict:
        """Note, and return, what the step that was just begun will come to.

        As long as that is not there nobody waits for the next batch but this process.
        """
        self._step = losses
        return losses

    def _timed(self, get: Callable[[], Batch]) -> Batch:
        jax.block_until_ready(self._step)
        start = time.perf_counter()
        try:
            return get()
        finally:
            self.waited += time.perf_counter() - start

    @usual_promotion()  # a thread has its own
    def _complete(self, index: int) -> Batch:
        return jax.block_until_ready(self._make(index))
