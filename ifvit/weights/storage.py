"""Files of weights: the names of both checkpoints, and other kinds, recognised by content."""

from __future__ import annotations

import zipfile
from pathlib import Path

from ifvit.archives import check_directory

DENSE_FILE = "dense_reg_ckpt.safetensors"
MATCHER_FILE = "matcher_ckpt.safetensors"

MODULE_OF = {"backbone": "dense_reg", "dense": "dense_reg", "pose": "matcher", "code": "matcher"}
"""The graphs, each with the module that it is made from."""


def foreign_kind(path: str | Path) -> str | None:
    """Name the other kind of weight file that ``path`` is: ``loftr``, ``pytorch`` or None.

    Decided by what is inside, so that a renamed file is recognised too. Raises ValueError as
    :func:`ifvit.archives.check_directory`.
    """
    check_directory(path)
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # a damaged archive makes Python's reader raise nearly any type
        return None
    if any(name.endswith(".npy") for name in names):
        return "loftr"
    return "pytorch" if any(name.endswith("data.pkl") for name in names) else None


def graph_file(folder: str | Path, graph: str) -> Path:
    """Return where a graph lies in a folder of exported graphs."""
    return Path(folder) / f"{graph}.onnx"
