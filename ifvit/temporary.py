"""Temporary files: beside their targets, locked while written, swept up where they were left."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ifvit.locks import remove_free, take_lock

ABANDONED = 3600
"""Seconds after which a temporary file counts as abandoned, where there are no locks."""

LONGEST_NAME = 200
"""Number of bytes of a file's name that its temporary file repeats; most systems allow 255."""

RENAMES_OPEN = os.name != "nt"
"""Whether a file can be renamed, or removed, while it is open: not on Windows."""


@contextmanager
def replacing(path: Path, found: os.stat_result | None, mode: int | None) -> Iterator[int]:
    """Open a new file beside ``path``, under a unique name, for writing.

    At the end it replaces ``path``; where an error is raised it is removed.
    """
    # Of a file that is there nobody may open the new one before it has that one's mode.
    new = 0o666 if mode is None else mode
    descriptor, opened = _open_new(path, new if found is None else 0o600)
    with ExitStack() as closing:
        closing.callback(os.close, descriptor)
        try:
            if found is not None and hasattr(os, "fchmod"):
                own = os.fstat(descriptor)
                if (own.st_uid, own.st_gid) != (found.st_uid, found.st_gid):
                    with suppress(OSError):  # only the system's owner may give files away
                        os.fchown(descriptor, found.st_uid, found.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(found.st_mode))
            yield descriptor
            # Locked until it has its name, where that can be: nobody may take it for one that was
            # left.
            if not RENAMES_OPEN:
                closing.close()
            os.replace(opened, path)
        finally:
            if not RENAMES_OPEN:
                closing.close()
            with suppress(OSError):
                opened.unlink(missing_ok=True)


def _open_new(path: Path, mode: int) -> tuple[int, Path]:
    # Exclusive: what somebody has put there, a link included, is not followed and not written to.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    while True:
        # Beside the target: a rename is atomic only within one file system.
        opened = path.with_name(f"{_prefix(path)}{os.getpid()}.{secrets.token_hex(8)}.tmp")
        descriptor = os.open(opened, flags, mode)
        take_lock(descriptor, wait=True)
        # Gone where another process swept it up before it was locked.
        if os.path.lexists(opened):
            return descriptor, opened
        os.close(descriptor)


def _prefix(path: Path) -> str:
    name = path.name
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f".{name}."


def sync_folder(folder: Path) -> None:
    """Write a folder's new entry to the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sweep(path: Path) -> None:
    """Remove the unfinished temporary files of this file that killed processes have left."""
    prefix = _prefix(path)
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if not (entry.name.startswith(prefix) and entry.name.endswith(".tmp")):
                continue
            with suppress(OSError):
                age = time.time() - entry.stat(follow_symlinks=False).st_mtime
                if not remove_free(entry.path) and age > ABANDONED:
                    os.unlink(entry.path)
