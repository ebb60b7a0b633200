"""Arrays kept on disk between runs, so that what was made once is not made again.

Nothing depends on the cache: data that are missing, damaged or cannot be kept are made anew, with
the same result. ``IFVIT_CACHE`` names its folder (``off``: none), ``IFVIT_CACHE_GB`` its size.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np

from ifvit.files import write_atomically
from ifvit.temporary import ABANDONED

logger = logging.getLogger("ifvit")

SUFFIX = ".ifvit.npz"
MAPPED = ".ifvit.bytes"
"""One of the two is the end of every file's name; nothing else is ever removed from the folder."""

DEFAULT_GB = 4.0

PRIVATE = 0o600
"""Mode of every file: decoded prints are somebody's fingers."""

SUM = 32
"""Bytes of the sha256 at the end of a file of arrays."""

MAPPED_SUM = 4
"""Bytes of the CRC-32 at the end of a mapped one, which is as fast as the disk."""


class Cache:
    """Files of named arrays below one folder; those used longest ago make room for new ones.

    Several processes may use it at once: files appear whole, and a removed one is made again. A
    process does not remove files that it has used itself, so that a set too large for the cache
    keeps its first part there, instead of each part removing the one that is needed next.
    """

    def __init__(self, root: Path, limit: int) -> None:
        """Take a folder, made when the first file is written, and its ``limit`` in bytes."""
        self.root, self.limit = root, limit
        self._used: set[Path] = set()
        self._closed = False

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays kept as ``name``, or None where they are missing or damaged."""
        path = self._path(name)
        try:
            arrays = _unpacked(path.read_bytes())
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever NumPy makes of bytes that are not what it wrote
            reason = (str(error) or type(error).__name__).splitlines()[0]
            logger.warning("%s cannot be used (%s): what it held is made again", path, reason)
            return None
        self._use(path)
        return arrays

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays as ``name`` where there is room; a failure is a warning, once."""
        if self._closed:
            return
        path, data = self._path(name), _packed(arrays)
        try:
            if not self._make_room(len(data), path):
                logger.info("%s is full: the rest is not kept; IFVIT_CACHE_GB sets it", self.root)
                self._closed = True
                return
            self._write(path, data)
        except OSError as error:
            self._close(error)
            return
        self._used.add(path)

    def mapped(
        self, name: str, size: int, content: Callable[[], Iterator[bytes]]
    ) -> np.ndarray | None:
        """Return ``size`` bytes kept as ``name``, mapped into memory and read where they are used.

        ``content()`` yields them where they are missing or damaged. Returns None where they cannot
        be kept.
        """
        path = self.root / f"{name}{MAPPED}"
        try:
            if not self._is_whole(path, size):
                if self._closed or not self._make_room(size + MAPPED_SUM, path):
                    logger.info(
                        "%s has no room for %.1f GB: kept in memory; IFVIT_CACHE_GB sets its size",
                        *(self.root, size / 1e9),
                    )
                    return None
                self._write(path, _summed(content()))
            found = np.memmap(path, np.uint8, "r", shape=(size,))
        except OSError as error:
            self._close(error)
            return None
        self._use(path)
        return found

    def remove(self, name: str) -> None:
        """Forget what is kept as ``name``; what is mapped of it stays as it is."""
        for suffix in (SUFFIX, MAPPED):
            (self.root / f"{name}{suffix}").unlink(missing_ok=True)

    def _is_whole(self, path: Path, size: int) -> bool:
        if not (path.is_file() and path.stat().st_size == size + MAPPED_SUM):
            return False
        data = np.memmap(path, np.uint8, "r")
        if zlib.crc32(data[:size].data) == int.from_bytes(data[size:].tobytes()):
            return True
        logger.warning("%s is damaged (its sum differs): what it held is made again", path)
        return False

    def _write(self, path: Path, data: bytes | Iterator[bytes]) -> None:
        # Made here: a folder between would be anybody's to look into.
        private_folder(path.parent, self.root)
        write_atomically(path, data, mode=PRIVATE)

    def _use(self, path: Path) -> None:
        self._used.add(path)
        with suppress(OSError):  # a cache that can only be read is one too
            os.utime(path)

    def _close(self, error: OSError) -> None:
        self._closed = True
        logger.warning(
            "nothing more is kept in %s (%s): set IFVIT_CACHE to another folder, or to off",
            *(self.root, error),
        )

    def _path(self, name: str) -> Path:
        return self.root / f"{name}{SUFFIX}"

    def _make_room(self, size: int, path: Path) -> bool:
        """Remove the files used longest ago until ``size`` bytes fit; False where they cannot."""
        private_folder(self.root, self.root)
        there = sorted(entry for entry in self._entries() if entry[2] != path)
        total = size + sum(length for _, length, _ in there)
        for used_at, length, other in there:
            if total <= self.limit:
                break
            if other not in self._used and not _being_written(other, used_at):
                other.unlink(missing_ok=True)
                total -= length
        return total <= self.limit

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """Yield when each file was last used, its size, and its path; what is half written too."""
        kept = (self.root.glob(f"*/*{suffix}*") for suffix in (SUFFIX, MAPPED))
        for path in chain.from_iterable(kept):
            try:
                stat = path.stat()
            except FileNotFoundError:  # another process has removed it
                continue
            yield stat.st_mtime, stat.st_size, path


def private_folder(folder: Path, root: Path) -> None:
    """Make a folder in the cache at ``root``, for its owner alone; what is there stays as it is.

    Raises OSError.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    for one in (root, *reversed([p for p in folder.parents if p.is_relative_to(root)]), folder):
        one.mkdir(mode=0o700, exist_ok=True)


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    data = buffer.getvalue()
    return data + hashlib.sha256(data).digest()


def _unpacked(data: bytes) -> dict[str, np.ndarray]:
    # A checksum of the whole file: those of an archive leave out its arrays' positions and types.
    if hashlib.sha256(data[:-SUM]).digest() != data[-SUM:]:
        raise ValueError("its sum differs")
    with np.load(io.BytesIO(data[:-SUM]), allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def _summed(parts: Iterator[bytes]) -> Iterator[bytes]:
    found = 0
    for part in parts:
        found = zlib.crc32(part, found)
        yield part
    yield found.to_bytes(MAPPED_SUM)


def _being_written(path: Path, changed: float) -> bool:
    """Return whether another process may still be writing a file, or a killed one has left it."""
    return path.name.startswith(".") and time.time() - changed < ABANDONED


def cache_folder() -> Path | None:
    """Return the folder of the user's cache, or None where it is turned off.

    It is ``IFVIT_CACHE``, or ``ifvit`` in ``XDG_CACHE_HOME`` or in ``~/.cache``. A user without a
    home has none either.
    """
    named = os.environ.get("IFVIT_CACHE", "")
    if named.lower() == "off":
        return None
    kept = os.environ.get("XDG_CACHE_HOME")
    folder = Path(named) if named else Path(kept or "~/.cache", "ifvit")
    try:
        # A ~ is the shell's, and what sets a variable for a service or a container is no shell.
        return folder.expanduser().absolute()
    except (RuntimeError, FileNotFoundError):  # no home, or no working folder any more
        return None


def user_cache() -> Cache | None:
    """Return the user's cache, in :func:`cache_folder`, or None where it is turned off.

    Raises ValueError where ``IFVIT_CACHE_GB`` is not a number above 0.
    """
    folder = cache_folder()
    if folder is None:
        return None
    text = os.environ.get("IFVIT_CACHE_GB") or str(DEFAULT_GB)
    try:
        limit = int(float(text) * 1e9)
    except (ValueError, OverflowError):
        limit = 0
    if limit <= 0:
        raise ValueError(f"IFVIT_CACHE_GB is {text!r}: expected gigabytes above 0, such as 4")
    return _opened(folder, limit)


@lru_cache
def _opened(root: Path, limit: int) -> Cache:
    # One cache per process, which knows the files that the process has used, and warns only once.
    return Cache(root, limit)


def key_of(*parts: object) -> str:
    """Return a short key of all parts: two keys are equal only where all of their parts are."""
    made = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode()
        made.update(len(data).to_bytes(8) + data)
    return made.hexdigest()[:16]
