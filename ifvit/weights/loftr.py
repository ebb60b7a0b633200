"""Converted LoFTR weights, and their way into Module 1: the first link of the chain.

The file is an ``.npz`` of plain arrays, named as in Module 1's ``loftr_transformer``, and one text,
``ifvit``, that says where they come from. :mod:`ifvit.weights.convert` writes it.
"""

from __future__ import annotations

import dataclasses
import io
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx

from ifvit.archives import read_arrays
from ifvit.config import ModelConfig
from ifvit.files import check_exists, sha256_of, write_atomically
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.transformer import LocalFeatureTransformer
from ifvit.texts import parse_json
from ifvit.weights.metadata import check_types
from ifvit.weights.storage import foreign_kind
from ifvit.weights.tensors import check_copied, tensor_problems

logger = logging.getLogger("ifvit")

RECORD_KEY = "ifvit"
EXPECTED = "converted LoFTR weights, the .npz that `ifvit convert-loftr` writes"


@dataclass(frozen=True)
class LoFTRRecord:
    """The record of a converted file: where its weights come from, and their shape."""

    source_file: str
    """Name of the PyTorch checkpoint."""
    source_sha256: str
    prefix: str
    """Where in the checkpoint the coarse transformer was, such as ``matcher.loftr_coarse.``"""
    num_layers: int
    d_model: int
    num_heads: int | None
    """Number of heads, or None if unknown: the arrays do not show it, since all heads are in one
    matrix."""
    temp_bug_fix: bool
    """The sine position encoding that the weights were trained with."""
    temp_bug_fix_from: str
    """How that is known: ``stated``, ``read`` from the checkpoint, or ``assumed``."""

    def summary(self, arrays: Mapping[str, np.ndarray]) -> str:
        """Return one line: arrays, parameters, layers, width."""
        parameters = sum(array.size for array in arrays.values()) / 1e6
        return (
            f"{len(arrays)} parameter arrays, {parameters:.2f} M parameters, {self.num_layers} "
            f"layers (self, cross × {self.num_layers // 2}), d={self.d_model}"
        )


class LoFTRWeights(NamedTuple):
    """A converted file: arrays by name, float32, and its record."""

    arrays: dict[str, np.ndarray]
    record: LoFTRRecord


def transformer_shapes(d_model: int, num_layers: int) -> dict[str, tuple[int, ...]]:
    """Return name and shape of every parameter of a LoFTR transformer; ten arrays a layer."""

    def build() -> LocalFeatureTransformer:
        # One head: the shapes do not depend on their number.
        return LocalFeatureTransformer(d_model, 1, num_layers, rngs=nnx.Rngs(0))

    state = nnx.to_flat_state(nnx.state(nnx.eval_shape(build), nnx.Param))
    return {"/".join(map(str, path)): var.shape for path, var in state}


def write_loftr(path: str | Path, weights: LoFTRWeights) -> None:
    """Write a converted file, whole or not at all; equal weights give equal bytes."""
    buffer = io.BytesIO()
    record = json.dumps(dataclasses.asdict(weights.record), sort_keys=True)
    # numpy types the keywords of savez as if all were its own option.
    np.savez(buffer, **{RECORD_KEY: np.array(record)}, **weights.arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def read_loftr(path: str | Path) -> LoFTRWeights:
    """Read a converted file.

    Raises FileNotFoundError, and ValueError for a file that is damaged or something else, that
    holds Python objects (they are never loaded), or whose arrays are not exactly those of the
    transformer that its record describes.
    """
    check_exists(path, EXPECTED)
    if foreign_kind(path) == "pytorch":
        raise ValueError(
            f"{path} is a PyTorch file: convert it first, "
            f"ifvit convert-loftr --pytorch-ckpt {path} --output loftr_transformer.npz"
        )
    arrays = read_arrays(path, EXPECTED)
    record = _record_of(path, arrays.pop(RECORD_KEY, None))
    # A forged number of layers must not be a long list of what is missing.
    layers = min(record.num_layers, len(arrays) + 1)
    problems = tensor_problems(transformer_shapes(record.d_model, layers), arrays)
    if problems:
        raise ValueError(
            f"{path} does not hold what its record says, {record.num_layers} layers of width "
            f"{record.d_model}: "
            f"{'; '.join(problems)}; convert the checkpoint again"
        )
    # Half-precision files are accepted: all is compared and trained in float32.
    return LoFTRWeights({k: np.asarray(v, np.float32) for k, v in arrays.items()}, record)


def load_loftr_weights(
    model: DenseRegModel, path: str | Path, *, first_layers: bool = False
) -> tuple[dict[str, str], ...]:
    """Fill Module 1's transformer with converted LoFTR weights, in place; return the lineage.

    With ``first_layers`` a model with fewer layers takes the first ones of the file. Backbone and
    head keep their random start. Raises FileNotFoundError, and ValueError for a broken file, for a
    transformer of another kind, width, depth, number of heads or position encoding, all differences
    in one message; the model is then unchanged.
    """
    path = Path(path)
    weights = read_loftr(path)
    _check_fits(path, weights.record, model.config, first_layers)
    if weights.record.num_heads is None:
        logger.warning(
            "%s does not record its heads, and a wrong number cannot be noticed: took num_heads=%d",
            path,
            model.config.num_heads,
        )
    state = nnx.to_flat_state(nnx.state(model.loftr_transformer, nnx.Param))
    names = {"/".join(map(str, p)): (p, var) for p, var in state}
    logger.info("Loaded %d parameter arrays of LoFTR from %s", len(weights.arrays), path)
    taken = {name: array for name, array in weights.arrays.items() if name in names}
    filled = [
        (names[name][0], names[name][1].replace(jnp.asarray(array)))
        for name, array in taken.items()
    ]
    nnx.update(model.loftr_transformer, nnx.from_flat_state(filled))
    check_copied(path, taken, model.loftr_transformer, "loftr_transformer")
    logger.info("Merged %d/%d LoFTR parameters", len(taken), len(names))
    return lineage_of(path, weights.record, model.config.num_layers)


def lineage_of(path: Path, record: LoFTRRecord, layers: int) -> tuple[dict[str, str], ...]:
    """Return the two oldest links of a lineage: the PyTorch checkpoint and the converted file."""
    which = "" if layers == record.num_layers else f", the first {layers} taken"
    return (
        {
            "role": "pytorch",
            "file": record.source_file,
            "sha256": record.source_sha256,
            "note": f"LoFTR checkpoint, {record.prefix}*",
        },
        {
            "role": "loftr",
            "file": path.name,
            "sha256": sha256_of(path),
            "note": f"converted, {record.num_layers} layers of width {record.d_model}{which}",
        },
    )


def _record_of(path: str | Path, text: np.ndarray | None) -> LoFTRRecord:
    if text is None:
        raise ValueError(f"{path} is an .npz without a record of ifvit: expected {EXPECTED}")
    try:
        record = LoFTRRecord(**parse_json(str(text)))
        check_types(record)
        if record.d_model < 1 or record.num_layers < 1:
            raise ValueError(f"{record.num_layers} layers of width {record.d_model}")
        return record
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{path} has a record that this version cannot read ({error}): convert again"
        ) from error


def _check_fits(path: Path, record: LoFTRRecord, model: ModelConfig, first_layers: bool) -> None:
    """Compare a file's record with Module 1's settings; one error for all differences."""
    differences: list[tuple[str, object, object]] = []
    if not model.use_loftr:
        differences.append(("use_loftr", True, False))
    for name in ("d_model", "num_layers", "num_heads", "temp_bug_fix"):
        theirs, ours = getattr(record, name), getattr(model, name)
        enough = name == "num_layers" and first_layers and ours < theirs
        if theirs is not None and theirs != ours and not enough:
            differences.append((name, theirs, ours))
    if not differences:
        return
    said = [f"{name} is {theirs} in LoFTR and {ours} here" for name, theirs, ours in differences]
    names = [name for name, _, _ in differences]
    if "d_model" in names:
        said.append(
            f"q_proj is ({record.d_model}, {record.d_model}) there and "
            f"({model.d_model}, {model.d_model}) here"
        )
    wanted = ", ".join(f"model.{name}={theirs}" for name, theirs, _ in differences)
    hints = ""
    if "num_layers" in names and model.num_layers < record.num_layers:
        hints += f"; or set loftr_first_layers to take the first {model.num_layers}"
    if "temp_bug_fix" in names and record.temp_bug_fix_from == "assumed":
        hints += "; or convert again with --temp-bug-fix, whose value was assumed"
    raise ValueError(
        f"{path} does not fit this Module 1: {'; '.join(said)}; set {wanted} for both modules"
        f"{hints}"
    )
