"""Files as such: kept, told apart, and their sha256; writing them is :mod:`ifvit.data.atomic`'s."""

from __future__ import annotations

import hashlib
import logging
import zipfile
from pathlib import Path

from tqdm import tqdm

from ifvit.data.atomic import write_atomically as write_atomically

logger = logging.getLogger("ifvit")

DENSE_FILE = "dense_reg_ckpt.safetensors"
MATCHER_FILE = "matcher_ckpt.safetensors"


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


def foreign_kind(path: str | Path) -> str | None:
    """Name the other kind of weight file that ``path`` is: ``loftr``, ``pytorch`` or None.

    Decided by what is inside, so that a renamed file is recognised too.
    """
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith(".npy") for name in names):
        return "loftr"
    return "pytorch" if any(name.endswith("data.pkl") for name in names) else None
