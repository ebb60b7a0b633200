"""Signals that are held back until a run can stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Stopped(KeyboardInterrupt):
    """Training was asked to stop, and did, with its state saved."""

    def __init__(self, text: str, signum: int) -> None:
        """Take the message, and ``signum``, the signal that asked training to stop."""
        super().__init__(text)
        self.exit_code = 128 + signum


@contextmanager
def stop_asked() -> Iterator[Callable[[], int]]:
    """Hold back Ctrl-C and SIGTERM; yield a function that returns which of them came, or 0.

    A second signal is not held back. Outside the main thread none is.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return

    def ask(signum: int, _: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(signum)

    before = {signum: signal.signal(signum, ask) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked[0] if asked else 0
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
