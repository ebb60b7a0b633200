"""Files as such: written whole or not at all, an earlier one kept aside, and their sha256."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

logger = logging.getLogger("ifvit")


def write_atomically(path: str | Path, data: bytes | Iterable[bytes]) -> None:
    """Write a file that appears under its name only when it is complete; raises OSError.

    Data that would not fit into memory come as an iterator over parts.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target: a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def keep_earlier(path: Path) -> None:
    """Move a file or folder of an earlier run aside: nothing that was saved is lost."""
    if not path.exists():
        return
    stamp = 1
    while (kept := path.with_name(f"{path.stem}.{stamp}{path.suffix}")).exists():
        stamp += 1
    path.rename(kept)
    logger.info("kept what an earlier run left in %s as %s", path, kept)


def check_exists(path: str | Path, expected: str = "a checkpoint of ifvit") -> None:
    """Raise FileNotFoundError where there is nothing, and ValueError for a folder."""
    if not Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist: expected {expected}")
    if not Path(path).is_file():
        raise ValueError(f"{path} is a folder: expected {expected}, a file")


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
