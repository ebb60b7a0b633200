"""Checkpoints as safetensors files: written whole or not at all, read completely or not at all.

Tensors are named by their place in the model, ``params/ResNet18/...`` and
``batch_stats/ResNet18/...``; the metadata are one JSON text under the key ``ifvit``.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ifvit.files import check_exists, write_atomically
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherModel
from ifvit.weights.metadata import (
    HOW_TO_GET,
    MODULE_NAMES,
    Metadata,
    metadata_from_json,
    metadata_to_json,
)
from ifvit.weights.storage import foreign_kind
from ifvit.weights.tensors import tensor_problems

LOG = logging.getLogger("ifvit")

METADATA_KEY = "ifvit"

COLLECTIONS = {nnx.Param: "params", nnx.BatchStat: "batch_stats"}

FINE_LEVEL = "FineMatchingHead"

MOST_HEADER = 4 << 20
"""Bytes of names, shapes and settings; those of the weights that ship are some 50 kB."""

HALF_ERROR = 2.0**-10
"""Largest change of a parameter by float16, as a share of the largest value in its tensor."""


def save_weights(
    path: str | Path, module: nnx.Module, meta: Metadata, *, half: bool = False
) -> str:
    """Write a module's weights and metadata to ``path`` and return the file's sha256.

    ``half`` writes each parameter in float16, where that only rounds it. The file appears under its
    name only when it is complete. Raises ValueError where ``meta`` is not of this kind of module.
    """
    _check_module(str(path), meta.module, module)
    tensors = {name: np.array(var[...], order="C") for name, _, var in _variables(module)}
    if half:
        tensors = {name: _in_half(name, tensor) for name, tensor in tensors.items()}
    # One metadata entry: safetensors writes several in no fixed order, and the hash would change.
    data = save(tensors, {METADATA_KEY: metadata_to_json(meta)})
    write_atomically(Path(path), data)
    return hashlib.sha256(data).hexdigest()


def read_metadata(path: str | Path) -> Metadata:
    """Read a checkpoint's metadata alone.

    Raises FileNotFoundError, and ValueError for a file that is not a checkpoint of ifvit.
    """
    with _open(path) as file:
        return _metadata_of(path, file)


def load_weights(path: str | Path, module: nnx.Module, *, start: bool = False) -> Metadata:
    """Fill ``module`` in place from a checkpoint and return the metadata.

    For the ``start`` of a training the file may lack Module 1's fine level, which earlier versions
    did not have; it then keeps its random weights. Half-precision tensors become float32.
    Raises FileNotFoundError, and ValueError for a broken file, another module's checkpoint, or
    tensors that are missing, left over, of another shape or not finite, all of them listed; the
    module is then unchanged.
    """
    with _open(path) as file:
        meta = _metadata_of(path, file)
        _check_module(str(path), meta.module, module)
        tensors = _tensors(path, file)
    variables = _variables(module)
    older = any(FINE_LEVEL in n for n, *_ in variables) and not any(
        FINE_LEVEL in n for n in tensors
    )
    if older and not start:
        raise ValueError(
            f"{path} was trained before Module 1 had a fine level: train it on by "
            "`ifvit train-dense --init-from`"
        )
    if older:
        LOG.info("%s has no fine level, which starts at random", path)
        variables = [one for one in variables if FINE_LEVEL not in one[0]]
    wanted = {name: var.shape for name, _, var in variables}
    problems = tensor_problems(wanted, tensors) + _negative(tensors)
    if problems:
        raise ValueError(f"{path} does not fit its model: {'; '.join(problems)}")
    filled = [(p, var.replace(jnp.asarray(tensors[n], jnp.float32))) for n, p, var in variables]
    nnx.update(module, nnx.from_flat_state(filled))
    return meta


def load_dense(path: str | Path) -> tuple[DenseRegModel, Metadata]:
    """Build the Module 1 that a checkpoint describes, filled and in eval mode.

    Raises as :func:`load_weights`.
    """
    meta = expect_module(path, "dense_reg")
    config = meta.settings().model
    # Shapes only: random weights would be overwritten at once.
    model = nnx.eval_shape(lambda: DenseRegModel(config, rngs=nnx.Rngs(0)))
    load_weights(path, model)
    model.eval()
    return model, meta


def load_matcher(path: str | Path) -> tuple[MatcherModel, Metadata]:
    """Build the Module 2 that a checkpoint describes, filled and in eval mode.

    Raises as :func:`load_weights`.
    """
    meta = expect_module(path, "matcher")
    config = meta.settings().model
    model = nnx.eval_shape(lambda: MatcherModel(config, rngs=nnx.Rngs(0)))
    load_weights(path, model)
    model.eval()
    return model, meta


def expect_module(path: str | Path, module: str) -> Metadata:
    """Read the metadata of a checkpoint that must be of ``module``; raises ValueError if not."""
    meta = read_metadata(path)
    if meta.module != module:
        raise ValueError(_wrong_module(str(path), meta.module, module))
    _check_depth(path, meta)
    return meta


def _in_half(name: str, tensor: np.ndarray) -> np.ndarray:
    """Return a parameter in float16, or as it is where it overflows or loses more than rounding.

    Batch statistics stay as they are: they are few, and a variance may be anything.
    """
    if not name.startswith(COLLECTIONS[nnx.Param]):
        return tensor
    with np.errstate(over="ignore"):
        half = tensor.astype(np.float16)
    error = np.abs(half.astype(np.float32) - tensor).max(initial=0.0)
    return half if error <= HALF_ERROR * np.abs(tensor).max(initial=0.0) else tensor


def _variables(module: nnx.Module) -> list[tuple[str, tuple, nnx.Variable]]:
    """Return tensor name, NNX path and variable of each parameter and batch statistic."""
    variables = []
    for path, var in nnx.to_flat_state(nnx.state(module)):
        variables.append(("/".join([COLLECTIONS[type(var)], *map(str, path)]), path, var))
    return variables


def _check_module(path: str, found: str, module: nnx.Module) -> None:
    expected = "matcher" if isinstance(module, MatcherModel) else "dense_reg"
    if found != expected:
        raise ValueError(_wrong_module(path, found, expected))


def _wrong_module(path: str, found: str, expected: str) -> str:
    return (
        f"{path} is a checkpoint of {MODULE_NAMES[found]}, expected {MODULE_NAMES[expected]}: "
        f"pass {HOW_TO_GET[expected]}"
    )


def _tensors(path: str | Path, file: safe_open) -> dict[str, np.ndarray]:
    try:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path} holds a tensor that cannot be read ({error})") from error


def _negative(tensors: dict[str, np.ndarray]) -> list[str]:
    """List the variances below zero, whose root would make every score NaN."""
    end = COLLECTIONS[nnx.BatchStat], "/var"
    variances = [n for n in sorted(tensors) if n.startswith(end[0]) and n.endswith(end[1])]
    return [f"{n} holds negative variances" for n in variances if (tensors[n] < 0).any()]


def _check_depth(path: str | Path, meta: Metadata) -> None:
    """Raise ValueError where the settings name more layers than the file has tensors.

    To find out by building such a model could take hours.
    """
    with _open(path) as file:
        count = len(file.keys())
    layers = meta.settings().model.num_layers
    if layers > count:
        raise ValueError(
            f"{path} does not fit its model: its settings say {layers} layers, it holds {count} "
            "tensors"
        )


def _open(path: str | Path) -> safe_open:
    check_exists(path)
    kind = foreign_kind(path)
    if kind == "loftr":
        raise ValueError(
            f"{path} holds converted LoFTR weights (.npz), not a checkpoint of ifvit: "
            "they belong to Module 1, as its loftr_pretrained_ckpt"
        )
    if kind == "pytorch":
        raise ValueError(
            f"{path} is a PyTorch file, not a checkpoint of ifvit: "
            "expected a *.safetensors that `ifvit train-dense` or `ifvit train-match` wrote"
        )
    with open(path, "rb") as file:
        told = int.from_bytes(file.read(8), "little")
    # What is no checkpoint says anything here, and is told apart below.
    if MOST_HEADER < told <= Path(path).stat().st_size:
        raise ValueError(
            f"{path} cannot be used: its header says {told / 1e6:.0f} MB of names and settings, "
            f"expected at most {MOST_HEADER >> 20}"
        )
    try:
        return safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is not a readable safetensors file ({error}): it is damaged, cut short or "
            "something else; copy it again or train again"
        ) from error


def _metadata_of(path: str | Path, file: safe_open) -> Metadata:
    text = (file.metadata() or {}).get(METADATA_KEY)
    if text is None:
        raise ValueError(
            f"{path} is a safetensors file without metadata of ifvit: expected "
            f"{HOW_TO_GET['dense_reg']} or {HOW_TO_GET['matcher']}"
        )
    try:
        return metadata_from_json(text)
    except ValueError as error:
        raise ValueError(f"{path} cannot be used: {error}") from error
