"""Locks of files and folders: for one process at a time, and released however it ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    fcntl = None  # type: ignore[assignment]

FAR = 1 << 30
"""Position in a file of the byte that Windows locks."""


@contextmanager
def folder_lock(folder: Path, doing: str, option: str) -> Iterator[None]:
    """Let one process at a time work in a folder; the lock ends with the process, however it ends.

    ``doing`` says in the error what the process does there, and ``option`` names the option for
    another folder. Raises ValueError where another process holds the lock.
    """
    with (folder / ".lock").open("a+", encoding="utf-8") as file:
        if not take_lock(file.fileno()):
            file.seek(0)
            raise ValueError(
                f"another run, process {file.read().strip() or 'unknown'}, is {doing} in "
                f"{folder}: wait for it, stop it, or give another {option}"
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def take_lock(descriptor: int, *, wait: bool = False) -> bool:
    """Lock an open file until it is closed; where another process has it, return False or wait."""
    if fcntl is None:
        return _take_byte(descriptor, wait=wait)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _take_byte(descriptor: int, *, wait: bool) -> bool:
    """Lock a byte far behind a file's end, since Windows lets nobody else read a locked byte."""
    at = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        while True:
            os.lseek(descriptor, FAR, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
            except PermissionError:
                if not wait:
                    return False
                time.sleep(0.02)
            except OSError:  # a file system without locks
                return True
            else:
                return True
    finally:
        os.lseek(descriptor, at, os.SEEK_SET)


def remove_free(path: str) -> bool:
    """Remove a file that nobody has locked; return False where that is not known.

    The file is removed before its lock is released, so that a process which locks it later notices.
    """
    if fcntl is None:
        return False
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
