"""Module 2 as two graphs: the pose of a print as it was captured, the code of one in its pose."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ifvit.config import CELL_DIM, ModelConfig
from ifvit.export.backbone_graph import add_backbone, add_conv, folded_norm
from ifvit.export.graph import Graph
from ifvit.export.transformer_graph import (
    add_linear,
    add_token_mask,
    add_tokens,
    add_transformer_alone,
)
from ifvit.models.embedding import POOL_GRID
from ifvit.models.pose_head import DILATIONS, NO_CORE

LEAST_SQUARE = 1e-12
LOWEST = float(np.finfo(np.float32).min)
BESIDE = 2
"""Number of cells by which the foreground is grown: a core may lie just outside the print."""


def pose_graph(tensors: Mapping[str, np.ndarray], config: ModelConfig) -> Graph:
    """Build ``image``, ``mask`` → the three outputs of :class:`ifvit.runtime.calls.CellPoses`."""
    graph = Graph("pose", tensors)
    image, mask = _print(graph)
    features = graph.op("Transpose", add_backbone(graph, image), perm=[0, 3, 1, 2])
    shown = graph.op("Cast", graph.op("Unsqueeze", mask, np.array([1], np.int64)), to=1)
    out = _pose_head(graph, features, shown)
    logits, offset, up = graph.ops("Split", 3, out, np.array([1, 2, 2], np.int64), axis=1)
    graph.output("log_p", _log_p(graph, logits, shown, mask), "float", "B", "h", "w")
    for name, value in (("offset", offset), ("up", up)):
        last = graph.op("Transpose", value, perm=[0, 2, 3, 1])
        graph.output(name, last, "float", "B", "h", "w", 2)
    return graph


def code_graph(tensors: Mapping[str, np.ndarray], config: ModelConfig) -> Graph:
    """Build ``image``, ``mask`` → both outputs of :class:`ifvit.runtime.calls.CodedPrints`."""
    graph = Graph("code", tensors)
    image, mask = _print(graph)
    features = add_backbone(graph, image)
    tokens, kept = add_tokens(graph, features, config), add_token_mask(graph, mask)
    seen = add_transformer_alone(graph, tokens, kept, config, "loftr_transformer_global")
    seen = graph.op("Reshape", seen, graph.op("Shape", features))
    both = graph.op("Concat", features, seen, axis=3)
    shown = graph.op("Cast", graph.op("Unsqueeze", mask, np.array([3], np.int64)), to=1)
    cells = graph.op("Mul", _unit(graph, both, "cell", 3), shown)
    graph.output("cells", cells, "float", "B", "h", "w", CELL_DIM)
    pooled = _pooled(graph, both, mask, 2 * config.d_model)
    graph.output("index", _unit(graph, pooled, "index", 1), "float", "B", config.embedding_dim)
    return graph


def _print(graph: Graph) -> tuple[str, str]:
    image = graph.input("image", "float", "B", "H", "W")
    return image, graph.input("mask", "bool", "B", "h", "w")


def _pose_head(graph: Graph, features: str, shown: str) -> str:
    """Add the convolutions of :class:`ifvit.models.pose_head.PoseHead`, channels first: (B,5,h,w).

    ``shown`` is the foreground, (B, 1, h, w), 0 or 1.
    """
    count = graph.op("ReduceSum", shown, np.array([2, 3], np.int64), keepdims=0)
    count = graph.op("Max", count, 1.0)
    x = graph.op("Concat", graph.op("Mul", features, shown), shown, axis=1)
    x = add_conv(graph, x, "PoseHead/enter")
    for index, step in enumerate(DILATIONS):
        place, norm = f"PoseHead/convs/{index}", f"PoseHead/norms/{index}"
        x = graph.op("Add", x, graph.op("Relu", add_conv(graph, x, place, norm, dilation=step)))
        total = graph.op(
            "ReduceSum", graph.op("Mul", x, shown), np.array([2, 3], np.int64), keepdims=0
        )
        whole = add_linear(graph, graph.op("Div", total, count), "PoseHead/whole")
        x = graph.op("Add", x, graph.op("Unsqueeze", whole, np.array([2, 3], np.int64)))
    return add_conv(graph, x, "PoseHead/leave")


def _log_p(graph: Graph, logits: str, shown: str, mask: str) -> str:
    """Add the logarithm of a softmax over the foreground and the cells beside it: (B, h, w)."""
    side = 2 * BESIDE + 1
    grown = graph.op("MaxPool", shown, kernel_shape=[side, side], pads=[BESIDE] * 4)
    kept = graph.op("Where", graph.op("Cast", grown, to=9), logits, NO_CORE)
    flat = graph.op("Reshape", kept, np.array([0, -1], np.int64))
    return graph.op("Reshape", graph.op("LogSoftmax", flat, axis=1), graph.op("Shape", mask))


def _pooled(graph: Graph, cells: str, mask: str, width: int) -> str:
    """Add the means over regions and the maximum over all, as ``pool_tokens``: (B, P)."""
    rows, columns = (_regions(graph, graph.size(mask, axis)) for axis in (1, 2))
    shown = graph.op("Unsqueeze", mask, np.array([3], np.int64))
    kept = graph.op("Cast", shown, to=1)
    total = _summed(graph, graph.op("Mul", cells, kept), rows, columns, width)
    count = graph.op("Max", _summed(graph, kept, rows, columns, 1), 1.0)
    means = graph.op("Reshape", graph.op("Div", total, count), np.array([0, -1], np.int64))
    maximum = graph.op(
        "ReduceMax", graph.op("Where", shown, cells, LOWEST), axes=[1, 2], keepdims=0
    )
    some = graph.op("ReduceMax", kept, axes=[1, 2], keepdims=0)  # (B, 1)
    maximum = graph.op("Where", graph.op("Cast", some, to=9), maximum, 0.0)
    return graph.op("Concat", means, maximum, axis=1)


def _regions(graph: Graph, size: str) -> str:
    """Add which of ``POOL_GRID`` regions each cell of a line belongs to: (regions, cells)."""
    number = np.arange(POOL_GRID)[:, None]
    low = graph.op("Div", graph.op("Mul", size, number), np.int64(POOL_GRID))
    last = graph.op("Add", graph.op("Mul", size, number + 1), np.int64(POOL_GRID - 1))
    high = graph.op("Div", last, np.int64(POOL_GRID))
    at = graph.line(size)
    inside = graph.op("And", graph.op("GreaterOrEqual", at, low), graph.op("Less", at, high))
    return graph.op("Cast", inside, to=1)


def _summed(graph: Graph, cells: str, rows: str, columns: str, channels: int) -> str:
    """Add the sums (B, rows, columns, channels) over the regions of cells (B, h, w, channels)."""
    wide = graph.op("Reshape", cells, np.array([0, 0, -1], np.int64))
    some = graph.op("MatMul", rows, wide)
    shape = graph.shape(graph.size(cells, 0), POOL_GRID, graph.size(cells, 2), channels)
    return graph.op("MatMul", columns, graph.op("Reshape", some, shape))


def _unit(graph: Graph, x: str, kind: str, axis: int) -> str:
    """Add projection, batch normalisation and division by the length, along the last axis."""
    scale, offset = folded_norm(graph, f"EmbeddingHead/{kind}_norm")
    kernel = graph.tensor(f"EmbeddingHead/{kind}_proj/kernel") * scale
    made = graph.op("MatMul", x, kernel.astype(np.float32))
    made = graph.op("Add", made, offset.astype(np.float32))
    square = graph.op("ReduceSum", graph.op("Mul", made, made), np.array([axis]), keepdims=1)
    return graph.op("Div", made, graph.op("Sqrt", graph.op("Max", square, LEAST_SQUARE)))
