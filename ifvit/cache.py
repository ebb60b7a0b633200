"""Arrays kept on disk between runs, so that what was made once is not made again.

Nothing needs the cache: what is missing, damaged or cannot be kept is made anew, and the result is
the same. ``IFVIT_CACHE`` names its folder (``off``: none), ``IFVIT_CACHE_GB`` its size.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np

from ifvit.files import write_atomically

logger = logging.getLogger("ifvit")

SUFFIX = ".ifvit.npz"
MAPPED = ".ifvit.bytes"
"""One of the two is the end of every file's name; nothing else is ever removed from the folder."""

DEFAULT_GB = 4.0

ABANDONED = 3600
"""Seconds after which nobody is writing to a file any more."""


class Cache:
    """Files of named arrays below one folder; those used longest ago make room for new ones.

    Safe for several processes at once: files appear whole, and one that has been removed is made
    again. What this process has used it does not remove, so that a set too large for the cache
    keeps its first part there, instead of each part throwing out the next to be asked for.
    """

    def __init__(self, root: Path, limit: int) -> None:
        """``limit`` is in bytes; the folder is made when the first file is written."""
        self.root, self.limit = root, limit
        self._used: set[Path] = set()
        self._closed = False

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays kept as ``name``, or None where there are none that are whole."""
        path = self._path(name)
        try:
            # The archive has a checksum of each array, which is compared as it is read.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            logger.warning("%s cannot be used (%s): what it held is made again", path, reason)
            return None
        self._use(path)
        return arrays

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays as ``name`` where there is room; a failure is a warning, once."""
        if self._closed:
            return
        path, buffer = self._path(name), io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        try:
            if not self._make_room(buffer.tell(), path):
                logger.info("%s is full: the rest is not kept; IFVIT_CACHE_GB sets it", self.root)
                self._closed = True
                return
            write_atomically(path, buffer.getvalue())
        except OSError as error:
            self._close(error)
            return
        self._used.add(path)

    def mapped(
        self, name: str, size: int, content: Callable[[], Iterator[bytes]]
    ) -> np.ndarray | None:
        """Return ``size`` bytes kept as ``name``, mapped into memory and read where they are used.

        ``content()`` yields them where they are not there. Returns None where they cannot be kept.
        """
        path = self.root / f"{name}{MAPPED}"
        try:
            if not (path.is_file() and path.stat().st_size == size):
                if self._closed or not self._make_room(size, path):
                    logger.info(
                        "%s has no room for %.1f GB: kept in memory; IFVIT_CACHE_GB sets its size",
                        *(self.root, size / 1e9),
                    )
                    return None
                write_atomically(path, content())
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
        # Its owner's alone: decoded prints are somebody's fingers.
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
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


def _being_written(path: Path, changed: float) -> bool:
    """Tell what another process may still be writing from what a killed one has left."""
    return path.name.startswith(".") and time.time() - changed < ABANDONED


def cache_folder() -> Path | None:
    """Return the folder of the user's cache, or None where it is turned off.

    It is ``IFVIT_CACHE``, or ``ifvit`` in ``XDG_CACHE_HOME`` or in ``~/.cache``.
    """
    named = os.environ.get("IFVIT_CACHE", "")
    if named.lower() == "off":
        return None
    home = os.environ.get("XDG_CACHE_HOME") or Path("~", ".cache").expanduser()
    return Path(named or Path(home, "ifvit")).absolute()


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
    # One for all of a process, which knows what the process has used, and warns but once.
    return Cache(root, limit)


def key_of(*parts: object) -> str:
    """Return a short name for all that decides what is kept: equal only where each part is."""
    made = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode()
        made.update(len(data).to_bytes(8) + data)
    return made.hexdigest()[:16]
