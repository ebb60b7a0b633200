"""LanceDB as a gallery uses it: imported sparingly, its errors in one line, its files private."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int8

from ifvit.texts import shortened

CATALOGUE = "lance_namespace_urllib3_client"
"""The client of Lance's catalogues over HTTP: LanceDB imports it, and a gallery has no use for it.
More than half of the time that LanceDB takes to load goes into it."""


class _Later(ModuleType):
    """A package whose own file runs when it is first asked for a name that it does not have."""

    def __getattr__(self, name: str) -> Any:
        self.__class__ = ModuleType  # type: ignore[assignment]
        self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]
        return getattr(self, name)


def import_lancedb() -> ModuleType:
    """Import LanceDB, and of the package ``CATALOGUE`` only the modules that LanceDB names.

    Whoever uses that package afterwards finds all of it. Raises ImportError where LanceDB is not
    installed.
    """
    if CATALOGUE not in sys.modules and (spec := find_spec(CATALOGUE)) is not None:
        package = module_from_spec(spec)
        package.__class__ = _Later
        sys.modules[CATALOGUE] = package
    return importlib.import_module("lancedb")


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
