"""LanceDB as a gallery uses it: its errors in one line, its files for their owner alone."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
from jaxtyping import Int8

from ifvit.texts import shortened


def is_remote(uri: str) -> bool:
    """Return whether a gallery is at a URI of an object store, not in a local folder."""
    return "://" in uri


def engine_uri(uri: str) -> str:
    """Return a gallery's place for the engine, which takes a leading ``~`` for somebody's home."""
    return uri if is_remote(uri) else os.path.abspath(uri)


def byte_matrix(column: pa.Array) -> Int8[np.ndarray, "P E"]:
    """Return a column of bytes as a matrix; raises ValueError where their lengths differ."""
    if not len(column):
        return np.zeros((0, 0), np.int8)
    offsets = np.frombuffer(column.buffers()[1], np.int32)
    offsets = offsets[column.offset : column.offset + len(column) + 1]
    widths = np.unique(np.diff(offsets))
    if len(widths) > 1 or column.null_count:
        raise ValueError("index vectors of different lengths: run `ifvit gallery upgrade`")
    data = np.frombuffer(column.buffers()[2], np.int8)[offsets[0] : offsets[-1]]
    return data.reshape(-1, int(widths[0]))


@contextmanager
def private_files() -> Iterator[None]:
    """Give new files the mode 0600 and new folders 0700: they are for their owner alone.

    The umask belongs to the whole process, so that this holds for files of other threads too.
    """
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def engine_errors(uri: str, doing: str) -> Iterator[None]:
    """Turn errors of the engine into one line that says where they arose, and what to do."""
    try:
        yield
    except (GeneratorExit, KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # its panics are no Exception
        text = shortened(str(error), 250)
        for code, sign in ((errno.ENOSPC, "No space left"), (errno.EFBIG, "File too large")):
            if sign in text:
                raise OSError(
                    code, f"{uri}: {doing} failed: {sign}; what was acknowledged is kept"
                ) from error
        raise ValueError(
            f"{uri}: {doing} failed ({type(error).__name__}: {text}): if files are damaged, "
            "`ifvit gallery check` lists the prints, and a backup has them"
        ) from error
