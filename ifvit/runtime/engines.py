"""Which engine executes a pair of checkpoints: ONNX Runtime where they have graphs, else JAX."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ifvit.config import DenseConfig
from ifvit.files import check_exists
from ifvit.runtime.calls import Engine
from ifvit.runtime.onnx_runtime import OnnxEngine
from ifvit.weights.storage import MODULE_OF, graph_file


class Loaded(NamedTuple):
    """An engine, and the settings of Module 1's training, which decide the rotations to search."""

    engine: Engine
    settings: DenseConfig


def load_engine(dense_ckpt: str | Path, matcher_ckpt: str | Path | None = None) -> Loaded:
    """Load the modules of these checkpoints, which must belong together; or Module 1 alone.

    Where graphs lie beside a checkpoint (``ifvit export-onnx``), ONNX Runtime executes these; they
    must have been exported from it. Without graphs JAX compiles and executes the checkpoint. Raises
    FileNotFoundError for a missing file; ValueError as
    :class:`ifvit.runtime.onnx_runtime.OnnxEngine` and ``load_modules`` do, and where there is
    neither a graph nor JAX.
    """
    folder = Path(dense_ckpt if matcher_ckpt is None else matcher_ckpt).parent
    wanted = [name for name in MODULE_OF if matcher_ckpt or MODULE_OF[name] == "dense_reg"]
    if not all(graph_file(folder, name).exists() for name in wanted):
        return _by_jax(dense_ckpt, matcher_ckpt)
    check_exists(dense_ckpt)
    engine = OnnxEngine(folder, dense_ckpt, matcher_ckpt, graphs=wanted)
    return Loaded(engine, engine.records["dense"].dense_settings())


def _by_jax(dense_ckpt: str | Path, matcher_ckpt: str | Path | None) -> Loaded:
    try:
        from ifvit.files import sha256_of
        from ifvit.runtime.jax_runtime import JaxEngine
        from ifvit.weights.checkpoint import load_dense
        from ifvit.weights.modules import load_modules
    except ImportError as error:
        raise ValueError(
            f"{dense_ckpt} has no graphs beside it, and the networks need JAX then, which cannot "
            f"be imported ({error}): pip install 'ifvit[train]', or export it there by "
            "`ifvit export-onnx`"
        ) from error
    if matcher_ckpt is None:
        dense, meta = load_dense(dense_ckpt)
        engine = JaxEngine(dense, sha256=(sha256_of(dense_ckpt), ""))
    else:
        (dense, meta), (matcher, _) = load_modules(dense_ckpt, matcher_ckpt)
        engine = JaxEngine(dense, matcher, (sha256_of(dense_ckpt), sha256_of(matcher_ckpt)))
    settings = meta.settings()
    assert isinstance(settings, DenseConfig), "load_dense takes no other"
    return Loaded(engine, settings)
