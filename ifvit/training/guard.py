"""What guards a run: the lock of its directory, and signals held back until it can stop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Stopped(KeyboardInterrupt):
    """Training was asked to stop, and did, with its state saved."""

    def __init__(self, text: str, signum: int) -> None:
        """``signum`` is the signal that asked."""
        super().__init__(text)
        self.exit_code = 128 + signum


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Let one process at a time train in a directory; the lock ends with the process, however."""
    import fcntl  # Not on every system, and only training needs it.

    with (directory / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ValueError(
                f"another run, process {file.read().strip() or 'unknown'}, is training in "
                f"{directory}: wait for it, stop it, or give another --checkpoint-dir"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


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
