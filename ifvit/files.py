"""Files written whole or not at all, earlier ones kept aside, and their sha256."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm

from ifvit.temporary import replacing, sweep, sync_folder

logger = logging.getLogger("ifvit")

_inputs: dict[tuple[int, int], Path] = {}
"""Device and inode of the files that the running command reads (:func:`guarded`)."""


def write_atomically(
    path: str | Path, data: bytes | Iterable[bytes], *, mode: int | None = None
) -> None:
    """Write a file that appears under its name only when it is complete and on the disk.

    Data that would not fit into memory are given as an iterator over parts. Of a link the target is
    written; a device or a pipe is written to directly. A file that is replaced keeps its mode and
    its owner; a new one gets ``mode``, or the mode that the umask allows. Raises OSError, and
    ValueError for a folder or for a file that the running command reads.
    """
    parts = [data] if isinstance(data, bytes) else data
    path = final_target(Path(path))
    if is_stream(path):
        with open(path, "wb") as file:
            file.writelines(parts)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Only after the folder is made: a missing one can be on the way to a file that exists.
    found = _stat(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise ValueError(f"{path} is a folder: expected a file to write")
    _refuse_input(path, found)
    with replacing(path, found, mode) as descriptor:
        with open(descriptor, "wb", closefd=False) as file:
            file.writelines(parts)
        os.fsync(descriptor)
    sync_folder(path.parent)
    sweep(path)


def write_text(path: str | Path, text: str) -> None:
    """Write text in UTF-8, whole or not at all; bytes of names that are no UTF-8 stay as they are.

    Raises as :func:`write_atomically`.
    """
    write_atomically(path, text.encode("utf-8", "surrogateescape"))


def write_result(path: str | Path, data: bytes, mark: bytes) -> None:
    """Write the result of a command; a file of another origin is kept aside (:func:`keep_earlier`).

    A file's origin shows by ``mark``, which is among the first bytes of every file that the command
    writes. Raises as :func:`write_atomically`.
    """
    path = final_target(Path(path))
    if not is_stream(path) and path.is_file():
        _refuse_input(path, _stat(path))
        with path.open("rb") as file:
            start = file.read(4096)
        if start and mark not in start:
            keep_earlier(path)
    write_atomically(path, data)


def final_target(path: Path) -> Path:
    """Return the target of a chain of links; the name of an open stream stays as it is."""
    for _ in range(40):
        # /dev/stdout leads to /proc/self/fd/1, whose own target can be a pipe without a name.
        if not path.is_symlink() or path.parent.resolve().is_relative_to("/proc"):
            return path
        path = path.parent / os.readlink(path)
    raise ValueError(f"{path} is a link to itself: expected a file to write")


def is_stream(path: Path) -> bool:
    """Return whether a path is a device, a pipe or another process's stream, not a plain file."""
    found = _stat(path)
    if found is None or stat.S_ISDIR(found.st_mode):
        return False
    return not stat.S_ISREG(found.st_mode) or path.is_symlink()


@contextmanager
def guarded(inputs: Iterable[str | Path]) -> Iterator[None]:
    """Within this context, refuse to overwrite ``inputs``, the files that a command reads."""
    before = dict(_inputs)
    for path in map(Path, inputs):
        with suppress(OSError, ValueError):
            found = path.stat()
            if stat.S_ISREG(found.st_mode):
                _inputs[found.st_dev, found.st_ino] = path
    try:
        yield
    finally:
        _inputs.clear()
        _inputs.update(before)


def check_output(path: str | Path, option: str = "--out") -> None:
    """Raise ValueError where a command could not write ``path``: an input, or a folder.

    Nothing is made: the check is done before the work begins.
    """
    target = final_target(Path(path))
    if is_stream(target):
        return
    target = Path(os.path.realpath(target))
    _refuse_input(target, _stat(target))
    if target.is_dir():
        raise ValueError(f"{option} {path} is a folder: expected a file to write")
    check_folder(target.parent, option)


def check_folder(path: str | Path, option: str = "--out") -> None:
    """Raise ValueError where a folder is missing and cannot be made, or is not writable."""
    folder = Path(path)
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise ValueError(f"{option}: {folder} is a file, but {path} needs it to be a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"{option}: nothing can be written in {folder}; choose another place")


def keep_earlier(path: Path) -> None:
    """Move a file or folder of an earlier run aside: nothing that was saved is lost.

    Where the path is a link to a file, the file is moved and the link stays.
    """
    if not path.exists():
        return
    if path.is_file():
        path = final_target(path)
    stamp = 1
    while os.path.lexists(kept := path.with_name(f"{path.stem}.{stamp}{path.suffix}")):
        stamp += 1
    path.rename(kept)
    logger.info("kept what an earlier run left in %s as %s", path, kept)


def check_exists(path: str | Path, expected: str = "a checkpoint of ifvit") -> None:
    """Raise FileNotFoundError where there is nothing, and ValueError for a folder."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist: expected {expected}")
    if not Path(path).is_file():
        what = "folder" if Path(path).is_dir() else "device or a pipe"
        raise ValueError(f"{path} is a {what}: expected {expected}, a file")


def sha256_of(path: str | Path, *, progress: bool = False) -> str:
    """Return the hexadecimal sha256 of a file's bytes; raises FileNotFoundError.

    ``progress`` shows a bar for a file that takes long.
    """
    check_exists(path)
    digest, size = hashlib.sha256(), Path(path).stat().st_size
    bar = tqdm(total=size, unit="B", unit_scale=True, delay=1, disable=not progress)
    with open(path, "rb") as file, bar:
        while block := file.read(1 << 20):
            digest.update(block)
            bar.update(len(block))
    return digest.hexdigest()


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _refuse_input(path: Path, found: os.stat_result | None) -> None:
    if found is not None and (read := _inputs.get((found.st_dev, found.st_ino))):
        raise ValueError(
            f"{path} is what this command reads ({read}), and would be written over: give another "
            "--out"
        )
