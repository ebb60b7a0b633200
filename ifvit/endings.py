"""How a command ends: with an error of one line, whatever happened.

Nothing heavy is imported here, so that this holds from the first moment on, while the libraries are
still being loaded.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from types import FrameType
from typing import Any

from ifvit.texts import shortened

DEBUG = "IFVIT_DEBUG"
"""Name of the variable that, set to anything but 0, shows where an error arose."""

WRONG, INTERRUPTED, BROKEN_PIPE = 2, 130, 141
"""Exit codes: for errors that a user can correct, and those of a shell for SIGINT and SIGPIPE."""


def take_over() -> None:
    """Prepare a process that is this program alone: its streams, and what Ctrl-C does."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # there may be none, or somebody's own
            # Names that are no UTF-8 leave as the bytes that they are; elsewhere signs that the
            # encoding lacks are spelled out.
            wide = (stream.encoding or "").lower().replace("-", "").startswith("utf")
            stream.reconfigure(errors="surrogateescape" if wide else "backslashreplace")  # type: ignore[union-attr]
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _leave)


def _leave(_signum: int, _frame: FrameType | None) -> None:
    """End the process at once: a library could swallow an exception, or raise another from it.

    Files appear whole or not at all, so that nothing has to be cleaned up.
    """
    with suppress(Exception):
        sys.stdout.flush()
    with suppress(OSError):
        os.write(2, b"ifvit: interrupted\n")
    os._exit(INTERRUPTED)


class OneLine(logging.Formatter):
    """Formats log records as one line of limited length."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's message, shortened."""
        return shortened(record.getMessage())


def exit_code(error: BaseException) -> int:
    """Print an error to standard error, and return the exit code for it."""
    if isinstance(error, KeyboardInterrupt):
        _say(str(error.args[0] if error.args else "interrupted"))
        return int(getattr(error, "exit_code", INTERRUPTED))
    if isinstance(error, BrokenPipeError):
        _close_stdout()
        return BROKEN_PIPE
    if os.environ.get(DEBUG, "0") not in ("", "0"):
        traceback.print_exception(error)
    _say(f"error: {explained(error)}")
    try:
        flushed()
    except (OSError, ValueError):  # Python would try again at its end, and fail in its own words
        _close_stdout()
    return WRONG


def explained(error: BaseException) -> str:
    """Return the message of an error in one line; that of an unforeseen error with its type."""
    text, kind = shortened(str(error)), type(error).__name__
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        return "out of memory: give smaller images or a smaller --batch-size, or use more memory"
    if asked := _missing_device(error):
        return f"JAX_PLATFORMS is {asked!r}, and there is no such device here: unset it, or set cpu"
    if isinstance(error, FileNotFoundError) and _is_nowhere():
        return "the folder that this command was started in is gone: start it in another"
    if isinstance(error, ValueError | OSError) and not isinstance(error, UnicodeError) and text:
        return text
    advice = f"this was not foreseen; {DEBUG}=1 shows where it arose"
    return f"{shortened(f'{kind}: {text}', 380)} ({advice})"


def _is_nowhere() -> bool:
    """Return whether the working folder was removed, so that no relative path leads anywhere."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _missing_device(error: BaseException) -> str:
    """Return the devices that were asked for, where JAX failed while it looked for them."""
    # The error differs from one kind of device to another, and can have no message.
    frames = traceback.extract_tb(error.__traceback__)
    asked = os.environ.get("JAX_PLATFORMS", "")
    return asked if any("xla_bridge" in frame.filename for frame in frames) else ""


def _say(text: str) -> None:
    with suppress(OSError, ValueError):  # nobody may be listening
        try:
            print(f"ifvit: {text}", file=sys.stderr, flush=True)
        except UnicodeError:  # a stream of somebody else's, which was not taken over
            plain = text.encode("ascii", "backslashreplace").decode()
            print(f"ifvit: {plain}", file=sys.stderr, flush=True)


def _close_stdout() -> None:
    """Replace standard output by a stream that accepts everything, for Python's flush at exit."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def flushed() -> None:
    """Flush all output; raises OSError where that fails."""
    stdout: Any = sys.stdout
    if stdout is not None:
        stdout.flush()
