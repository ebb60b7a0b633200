"""Both modules as ONNX graphs in a folder, written only when they compute what JAX does."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from flax import nnx
from jaxtyping import Float

from ifvit.export.parity import (
    Differences,
    check_limits,
    differences,
    expected_of,
    synthetic_frames,
)
from ifvit.files import sha256_of, write_atomically
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherModel
from ifvit.runtime.graph_record import GraphRecord
from ifvit.runtime.onnx_runtime import OnnxEngine
from ifvit.weights.metadata import Metadata
from ifvit.weights.modules import check_same_shape, load_modules
from ifvit.weights.pretrained import RECORD_FILE, module_files, read_record
from ifvit.weights.settings import without_folders
from ifvit.weights.storage import MODULE_OF, graph_file


class Exported(NamedTuple):
    """The files written, and how far their answers are from those of JAX."""

    paths: tuple[Path, ...]
    differences: Differences


def export_onnx(
    out: str | Path,
    dense_ckpt: str | Path | None = None,
    matcher_ckpt: str | Path | None = None,
    *,
    licence: str | None = None,
    frames: Float[np.ndarray, "2 S S"] | None = None,
) -> Exported:
    """Write the graphs of both modules to the folder ``out``; return how far they are from JAX.

    Without checkpoints, the weights that ship with ifvit are exported. ``licence`` is that of the
    weights, an SPDX identifier; if not given, that of the record beside them, or Apache-2.0.
    ``frames`` are the prints to check with, if not those of
    :func:`ifvit.export.parity.synthetic_frames`. Equal checkpoints give equal files, and earlier
    ones in ``out`` are replaced. Raises FileNotFoundError and ValueError as ``load_modules`` does,
    and ValueError for modules that differ in shape, for graphs that are further from JAX than
    :data:`ifvit.export.parity.LIMITS`, and where the extra ``train`` is not installed; nothing is
    then written.
    """
    files = module_files(dense_ckpt, matcher_ckpt)
    (dense, dense_meta), (matcher, meta) = load_modules(*files)
    check_same_shape(dense, matcher)
    shas = sha256_of(files.dense), sha256_of(files.matcher)
    metadata = {"dense_reg": dense_meta, "matcher": meta}
    licence = licence or _licence(files.dense.with_name(RECORD_FILE))
    made = {
        name: graph_bytes(dense, matcher, _record(name, metadata[module], shas, licence))
        for name, module in MODULE_OF.items()
    }
    with TemporaryDirectory() as folder:
        for name, data in made.items():
            write_atomically(graph_file(folder, name), data)
        if frames is None:
            frames = synthetic_frames(dense.config)
        found = differences(OnnxEngine(folder, *files), expected_of(dense, matcher, frames))
    check_limits(found)
    paths = tuple(graph_file(out, name) for name in made)
    for path, data in zip(paths, made.values(), strict=True):
        write_atomically(path, data)
    return Exported(paths, found)


def graph_bytes(dense: DenseRegModel, matcher: MatcherModel, record: GraphRecord) -> bytes:
    """Return the file of the graph that ``record`` names.

    Raises ValueError where the extra ``train`` is not installed.
    """
    try:
        from ifvit.export.dense_graph import backbone_graph, dense_graph
        from ifvit.export.print_graphs import code_graph, pose_graph
    except ImportError as error:
        raise ValueError(
            f"graphs are written by the package onnx, which cannot be imported ({error}): "
            "pip install 'ifvit[train]'"
        ) from error
    build = {
        "backbone": backbone_graph,
        "dense": dense_graph,
        "pose": pose_graph,
        "code": code_graph,
    }[record.graph]
    model = dense if record.module == "dense_reg" else matcher
    return build(_tensors(model), model.config).model(record.to_metadata()).SerializeToString()


def _record(graph: str, meta: Metadata, shas: tuple[str, str], licence: str) -> GraphRecord:
    config = json.dumps(without_folders(meta.config), sort_keys=True)
    return GraphRecord(graph, meta.module, *shas, config, licence, version("ifvit"))


def _licence(record: Path) -> str:
    return read_record(record).licence if record.exists() else "Apache-2.0"


def _tensors(model: nnx.Module) -> dict[str, np.ndarray]:
    """Return parameters and batch statistics by their places in the model."""
    state = nnx.to_flat_state(nnx.state(model))
    return {"/".join(map(str, path)): np.asarray(var[...]) for path, var in state}
