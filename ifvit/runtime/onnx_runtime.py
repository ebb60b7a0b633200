"""The engine for use: exported graphs, executed by ONNX Runtime, without JAX or a compiler."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
from jaxtyping import Bool, Float

from ifvit.files import check_exists
from ifvit.runtime.calls import NOT_SENT, CellMatches, CellPoses, CodedPrints
from ifvit.runtime.graph_record import HOW_TO_GET, GraphRecord, check_together
from ifvit.shapes import check_image_shape, check_mask_shape, check_print_shapes
from ifvit.weights.storage import MODULE_OF, graph_file

# Official builds keep an identifier of the user on the disk and send events to their maker, unless
# they are told not to before they are loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

try:
    import onnxruntime
except ImportError:  # pragma: no cover - a machine that only trains can be without it
    onnxruntime = None


OUTPUTS = {
    "backbone": ("features",),
    "dense": CellMatches._fields,
    "pose": CellPoses._fields,
    "code": CodedPrints._fields,
}
"""The outputs of each graph, in this order."""


class OnnxEngine:
    """The graphs of one export; see :class:`ifvit.runtime.calls.Engine`.

    One engine may be called from several threads at once.
    """

    def __init__(
        self,
        folder: str | Path,
        dense_ckpt: str | Path | None = None,
        matcher_ckpt: str | Path | None = None,
        threads: int | None = None,
        graphs: Sequence[str] = tuple(MODULE_OF),
    ) -> None:
        """Load the graphs in ``folder``, which ``ifvit export-onnx`` wrote, or some of them.

        Checkpoints, where given, must be those that the graphs were exported from. ``threads`` is
        the number of threads that compute one call, one per core if not given. Raises
        FileNotFoundError for a missing file, and ValueError for a file that is no graph of ifvit or
        comes from another version, for graphs and checkpoints that do not belong together, and
        where ONNX Runtime is not installed.
        """
        folder = Path(folder)
        if onnxruntime is None:
            raise ValueError(
                f"the graphs in {folder} need ONNX Runtime, which is not installed: "
                "pip install onnxruntime"
            )
        self._sessions = {name: _session(graph_file(folder, name), threads) for name in graphs}
        self.records = {
            name: GraphRecord.from_metadata(
                graph_file(folder, name), session.get_modelmeta().custom_metadata_map
            )
            for name, session in self._sessions.items()
        }
        for name, session in self._sessions.items():
            found = tuple(output.name for output in session.get_outputs())
            self.records[name].check_outputs(folder, found, OUTPUTS[name])
        check_together(folder, list(self.records.values()), dense_ckpt, matcher_ckpt)
        record = self.records["dense"]
        self.config = record.model_config()
        self.dense_sha256, self.matcher_sha256 = record.dense_sha256, record.matcher_sha256

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied: raises TypeError."""
        raise TypeError(NOT_SENT)

    def backbone(self, image: Float[np.ndarray, "B H W"]) -> Float[np.ndarray, "B h w D"]:
        """Return Module 1's feature maps of B prints. Raises ValueError for other shapes."""
        check_image_shape(image.shape)
        return self._run("backbone", {"image": image})[0]

    def dense(
        self,
        features0: Float[np.ndarray, "B h0 w0 D"],
        features1: Float[np.ndarray, "B h1 w1 D"],
        mask0: Bool[np.ndarray, "B _ _"],
        mask1: Bool[np.ndarray, "B _ _"],
    ) -> CellMatches:
        """Match the cells of B pairs by Module 1. Raises ValueError for masks of other shapes."""
        check_mask_shape(mask0.shape, features0.shape[:3])
        check_mask_shape(mask1.shape, features1.shape[:3])
        feed = {"features0": features0, "features1": features1, "mask0": mask0, "mask1": mask1}
        return CellMatches(*self._run("dense", feed))

    def pose(self, image: Float[np.ndarray, "B H W"], mask: Bool[np.ndarray, "B _ _"]) -> CellPoses:
        """Look for the core of B prints by Module 2. Raises ValueError for other shapes."""
        check_print_shapes(image.shape, mask.shape)
        return CellPoses(*self._run("pose", {"image": image, "mask": mask}))

    def code(
        self, image: Float[np.ndarray, "B H W"], mask: Bool[np.ndarray, "B _ _"]
    ) -> CodedPrints:
        """Return the codes of B prints in their poses. Raises ValueError for other shapes."""
        check_print_shapes(image.shape, mask.shape)
        return CodedPrints(*self._run("code", {"image": image, "mask": mask}))

    def _run(self, graph: str, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Run a graph; numbers are converted to float32, the type that the networks compute in."""
        given = {
            name: array if array.dtype == bool else np.asarray(array, np.float32)
            for name, array in feed.items()
        }
        return self._sessions[graph].run(None, given)


def _session(path: Path, threads: int | None) -> onnxruntime.InferenceSession:
    check_exists(path, f"{path.name} in {HOW_TO_GET}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Threads that wait by spinning take the cores from the image work between two calls.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
    state = onnxruntime.capi.onnxruntime_pybind11_state
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented) as error:
        raise ValueError(
            f"{path} is not a graph that ONNX Runtime {onnxruntime.__version__} can load: it is "
            f"damaged, cut short or something else; write it again by `ifvit export-onnx` ({error})"
        ) from error
