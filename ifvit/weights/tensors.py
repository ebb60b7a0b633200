"""Named arrays compared with the parameters of a model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx


def parameter_arrays(module: nnx.Module) -> dict[str, np.ndarray]:
    """Return a module's parameters by name, such as ``layers/0/q_proj/kernel``."""
    state = nnx.to_flat_state(nnx.state(module, nnx.Param))
    return {"/".join(map(str, path)): np.asarray(var[...]) for path, var in state}


def state_sha256(module: nnx.Module) -> str:
    """Return the sha256 of a model's settings, parameters and batch statistics in memory."""
    digest = hashlib.sha256(repr(getattr(module, "config", None)).encode())
    for path, var in nnx.to_flat_state(nnx.state(module, (nnx.Param, nnx.BatchStat))):
        digest.update("/".join(map(str, path)).encode())
        digest.update(np.asarray(var[...]).tobytes())
    return digest.hexdigest()


def tensor_problems(
    wanted: Mapping[str, tuple[int, ...]], tensors: Mapping[str, np.ndarray]
) -> list[str]:
    """List the reasons why ``tensors`` do not exactly fill the shapes ``wanted``; empty if none."""
    missing = sorted(set(wanted) - set(tensors))
    unknown = sorted(set(tensors) - set(wanted))
    problems = [f"{name} is missing" for name in missing]
    problems += [f"{name} has no place in the model" for name in unknown]
    for name in sorted(set(wanted) & set(tensors)):
        tensor = tensors[name]
        if tensor.shape != wanted[name]:
            problems.append(f"{name} has shape {tensor.shape}, expected {wanted[name]}")
        elif not jnp.issubdtype(tensor.dtype, jnp.floating):
            problems.append(f"{name} holds {tensor.dtype}, expected floating point")
        elif not np.isfinite(tensor.astype(np.float32)).all():
            problems.append(f"{name} holds values that are not finite")
    return problems


def check_copied(
    path: Path, wanted: Mapping[str, np.ndarray], target: nnx.Module, name: str
) -> None:
    """Compare bit for bit after a copy: an update that silently does nothing is an error.

    Raises ValueError, which lists the differences between ``wanted``, the parameters in ``path``,
    and those of ``target``, the part called ``name``.
    """
    got = parameter_arrays(target)
    if not wanted:
        raise ValueError(f"nothing was copied to {name}: {path} holds no transformer weights")
    wrong = sorted(set(wanted) ^ set(got))
    wrong += [key for key in wanted if key in got and wanted[key].tobytes() != got[key].tobytes()]
    if wrong:
        raise ValueError(
            f"the copy from {path} to {name} does not hold the same weights: {', '.join(wrong)}"
        )
