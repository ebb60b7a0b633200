"""PyTorch files read as plain tensors: nothing in them is run.

PyTorch is needed for this alone, and imported only here: ``pip install 'ifvit[convert]'``.
"""

from __future__ import annotations

import io
import pickletools  # nosec B403 - it reads the steps of a pickle, and takes none
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from ifvit.archives import MOST_UNPACKED, SPARE, check_directory

WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "weights")
"""Keys under which trainers keep the state dict beside the optimiser's."""

MOST_WRAPPERS = 4
"""Depth to which wrappers are searched: a dictionary in a pickle may contain itself."""

MOST_STEPS, MOST_PICKLED = 500_000, 16 << 20
"""Of a pickle, and its bytes: a tensor takes some forty steps, and a large model has thousands."""

MAKERS = ("bytearray", "Counter")
"""What PyTorch lets a pickle call that a checkpoint does not need, and that takes any memory."""

MAGIC, LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", 4
"""How a file of PyTorch before 1.6 begins, and the pickles that follow."""

SAFE_TORCH = (2, 6)
"""First safe version: before it, ``weights_only=True`` could run code (CVE-2025-32434)."""


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Read the named tensors of a PyTorch file, floating-point ones as float32.

    Raises ValueError where PyTorch is not installed, or where the file is damaged, would run code,
    or holds no named tensors.
    """
    torch = _torch(path)
    _check_steps(path)
    try:
        with warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True)
    # A broken or hostile file makes PyTorch raise errors of any type, of which there is no list.
    except Exception as error:
        raise ValueError(_why_unreadable(path, str(error))) from error
    tensors = _unwrap(path, content)
    # Of tensors without their bytes memory is asked for, and taken when they are first touched.
    sizes = {name: t.numel() * t.element_size() for name, t in tensors.items()}
    if sum(sizes.values()) > path.stat().st_size:
        name = max(sizes, key=lambda one: sizes[one])
        shape = "×".join(map(str, tensors[name].shape))
        raise ValueError(
            f"{path}: the tensor {name} ({shape}) and others are larger than the file: get it again"
        )
    return {name: _array(torch, path, name, t) for name, t in tensors.items()}


def _check_steps(path: Path) -> None:
    """Raise ValueError for a file that would build far more than a checkpoint has.

    Its steps are counted before any is taken. What is damaged is left to PyTorch to say.
    """
    steps = 0
    for pickled in _pickles(path):
        try:
            for step, given, _ in pickletools.genops(pickled):
                steps += 1
                if step.name == "GLOBAL" and str(given).split()[-1] in MAKERS:
                    raise ValueError(
                        _why_unreadable(path, f"GLOBAL {str(given).replace(' ', '.')}")
                    )
                if steps > MOST_STEPS:
                    raise ValueError(
                        _why_unreadable(path, f"more than {MOST_STEPS} steps to build it")
                    )
        except ValueError as error:
            if str(path) in str(error):
                raise
            return


def _pickles(path: Path) -> Iterator[IO[bytes]]:
    """Yield what of a file would be unpickled."""
    check_directory(path)
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            if file.read(len(MAGIC)) != MAGIC:
                raise ValueError(_why_unreadable(path, "it does not begin as one"))
            for _ in range(LEGACY):
                yield file
            return
    try:
        with zipfile.ZipFile(path) as archive:
            members, size = archive.infolist(), path.stat().st_size
            for member in members:
                if member.filename.endswith(".pkl") and member.file_size <= MOST_PICKLED:
                    yield io.BytesIO(archive.read(member))
    except (zipfile.BadZipFile, NotImplementedError, zlib.error, OSError, EOFError):
        return
    told = sum(member.file_size for member in members)
    pickled = max((m.file_size for m in members if m.filename.endswith(".pkl")), default=0)
    if told > MOST_UNPACKED * size + SPARE or pickled > MOST_PICKLED:
        raise ValueError(
            _why_unreadable(path, f"its header says {told / 1e6:.0f} MB in {size / 1e6:.1f} MB")
        )


def _torch(path: Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ValueError(
            f"reading {path} needs PyTorch, which is not installed: pip install 'ifvit[convert]'"
        ) from error
    if tuple(map(int, torch.__version__.split(".")[:2])) < SAFE_TORCH:
        raise ValueError(
            f"PyTorch {torch.__version__} can be made to run code by a checkpoint "
            "(CVE-2025-32434): pip install 'torch>=2.6'"
        )
    return torch


def _why_unreadable(path: Path, error: str) -> str:
    named = re.search(r"GLOBAL ([\w.]+)", error)
    if named:
        return (
            f"{path} asks for {named[1]} to be run, which is never done: expected tensors alone; "
            "if you trust its origin, save its state_dict by itself where you can load it"
        )
    # PyTorch's own advice, to load without weights_only, is the one thing not to do.
    detail = re.search(r"WeightsUnpickler error:\s*(.+)", error)
    first = " ".join((detail[1] if detail else error).split())[:100].rstrip(" .")
    return (
        f"{path} cannot be read as a PyTorch checkpoint ({first}): it is damaged, cut short or "
        "something else; get it again"
    )


def _unwrap(path: Path, content: Any) -> dict[str, Any]:
    """Return the named tensors in ``content``, taken out of the known wrappers."""
    for _ in range(MOST_WRAPPERS):
        if not isinstance(content, Mapping):
            break
        inner = [content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)]
        if not inner:
            tensors = {str(k): v for k, v in content.items() if hasattr(v, "is_floating_point")}
            if tensors:
                return tensors
            raise ValueError(
                f"{path} holds no named tensors: found the keys "
                f"{some_of(map(str, content)) or 'none'}, looked in {', '.join(WRAPPERS)}"
            )
        content = inner[0]
    raise ValueError(
        f"{path} holds a {type(content).__name__}, not a checkpoint: expected a state dict, or a "
        f"dict with one under {', '.join(WRAPPERS)}"
    )


def _array(torch: Any, path: Path, name: str, tensor: Any) -> np.ndarray:
    try:
        plain = tensor.detach()
        if plain.numel() * plain.element_size() > plain.untyped_storage().nbytes():
            raise TypeError("it is larger than its bytes")
        # NumPy has no bfloat16.
        return (plain.to(torch.float32) if plain.is_floating_point() else plain).numpy()
    except (RuntimeError, TypeError, NotImplementedError, MemoryError) as error:
        kind = f"{tensor.layout}, {tensor.dtype}, {'×'.join(map(str, tensor.shape))}"
        kind = kind.replace("torch.", "")
        raise ValueError(
            f"{path}: the tensor {name} cannot be read ({kind}): expected an ordinary, dense one"
        ) from error


def some_of(names: Iterable[str], most: int = 6) -> str:
    """Return the first names of a list and the number of the others, for an error message."""
    listed = list(names)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if listed[most:] else "")
