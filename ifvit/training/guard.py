"""What guards a run: signals held back until it can stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Stopped(KeyboardInterrupt):
    """Training was asked to stop, and did, with its state saved."""

    def __init__(self, text: str, signum: int) -> None:
        """``signum`` is the signal that asked."""
        super().__init__(text)
        self.exit_code = 128 + signum


@contextmanager
def stop_asked() -> Iterator[Callable[[], int]]:
    """Hold back Ctrl-C and SIGTERM; what is yielded tells which came, or 0.

    The second of them is not held back. Elsewhere than in the main thread nothing is.
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
