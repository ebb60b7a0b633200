"""Batches made while the step before them runs, and the time that steps wait for their batches."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import jax

from ifvit.jax_settings import usual_promotion

Batch = TypeVar("Batch")


class Prefetch(Generic[Batch]):
    """Makes batch ``i + 1`` in a thread as soon as batch ``i`` is handed out.

    A batch is a function of its number, so that a batch made ahead is no state: a run that stops
    drops it, and a resumed one begins with the number that it asks for.
    """

    def __init__(self, make: Callable[[int], Batch], end: int, thread: bool | None) -> None:
        """Take the function ``make`` that makes batch ``i``; asking for batch ``i`` raises its
        errors.

        Batch ``end`` and those after it are not begun. Without a ``thread`` each batch is made when
        it is asked for; None means a thread unless the steps run on a CPU.
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
        """Seconds for which steps have waited for their batches."""

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
        """Note and return the losses of the step that was just begun.

        Until they are computed, the device is busy and does not wait for the next batch.
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
