"""Module 1 as two graphs: the backbone of one print, and the matches of two feature maps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ifvit.config import ModelConfig
from ifvit.export.backbone_graph import add_backbone
from ifvit.export.graph import Graph
from ifvit.export.transformer_graph import (
    add_linear,
    add_token_mask,
    add_tokens,
    add_transformer,
)
from ifvit.models.coarse_matching import MASKED_LOG_P
from ifvit.models.fine_matching import LEAST_SPREAD

MASKED = -1e9


def backbone_graph(tensors: Mapping[str, np.ndarray], config: ModelConfig) -> Graph:
    """Build ``image`` (B, H, W) → ``features`` (B, h, w, D) of Module 1's parameters."""
    graph = Graph("backbone", tensors)
    image = graph.input("image", "float", "B", "H", "W")
    features = add_backbone(graph, image)
    graph.output("features", features, "float", "B", "h", "w", config.d_model)
    return graph


def dense_graph(tensors: Mapping[str, np.ndarray], config: ModelConfig) -> Graph:
    """Build feature maps and masks → the five outputs of :class:`ifvit.runtime.calls.CellMatches`.

    Inputs are ``features0``, ``features1`` (B, h, w, D), ``mask0`` and ``mask1`` (B, h, w).
    """
    graph = Graph("dense", tensors)
    maps = [
        graph.input(f"features{i}", "float", "B", f"h{i}", f"w{i}", config.d_model) for i in (0, 1)
    ]
    masks = [
        add_token_mask(graph, graph.input(f"mask{i}", "bool", "B", f"h{i}", f"w{i}"))
        for i in (0, 1)
    ]
    tokens = add_tokens(graph, maps[0], config), add_tokens(graph, maps[1], config)
    feat0, feat1 = add_transformer(graph, tokens, (masks[0], masks[1]), config, "loftr_transformer")
    log_p = _log_confidence(graph, feat0, feat1, masks[0], masks[1], config)
    _add_matches(graph, log_p, (maps[0], maps[1]), (feat0, feat1))
    return graph


def _log_confidence(
    graph: Graph, feat0: str, feat1: str, mask0: str, mask1: str, config: ModelConfig
) -> str:
    """Add the log dual softmax (B, N, M), as ``log_dual_softmax``, masked entries included."""
    kernel = graph.tensor("DenseMatchingHead/final_proj/kernel")
    scaled = (kernel / (config.d_model * config.temperature)).astype(np.float32)
    unit0 = graph.op("MatMul", feat0, scaled)
    unit1 = graph.op("MatMul", feat1, kernel.astype(np.float32))
    similarity = graph.op("MatMul", unit0, graph.op("Transpose", unit1, perm=[0, 2, 1]))
    rows = graph.op("Unsqueeze", mask0, np.array([2], np.int64))
    columns = graph.op("Unsqueeze", mask1, np.array([1], np.int64))
    valid = graph.op("And", rows, columns)
    kept = graph.op("Where", valid, similarity, MASKED)
    both = graph.op("Add", _log_softmax(graph, kept, 2), _log_softmax(graph, kept, 1))
    return graph.op("Where", valid, both, MASKED_LOG_P)


def _log_softmax(graph: Graph, x: str, axis: int) -> str:
    """Add the log of the softmax along an axis.

    Exponents end where no sum shows them any more: below, exponentials are subnormal numbers, with
    which processors compute many times as slowly. ONNX Runtime's own LogSoftmax goes there.
    """
    below = graph.op("Sub", x, graph.op("ReduceMax", x, axes=[axis], keepdims=1))
    shares = graph.op("Exp", graph.op("Max", below, -80.0))
    total = graph.op("ReduceSum", shares, np.array([axis], np.int64), keepdims=1)
    return graph.op("Sub", below, graph.op("Log", total))


def _add_matches(graph: Graph, log_p: str, maps: tuple[str, str], feats: tuple[str, str]) -> None:
    """Reduce the matrix as :meth:`ifvit.models.dense_reg.DenseRegModel.cell_matches` does."""
    partner0 = graph.op("ArgMax", log_p, axis=2, keepdims=0)
    partner1 = graph.op("ArgMax", log_p, axis=1, keepdims=0)
    best = graph.op("ReduceMax", log_p, axes=[2], keepdims=0)
    graph.output("partner0", graph.op("Cast", partner0, to=6), "int", "B", "N")
    graph.output("confidence0", graph.op("Exp", best), "float", "B", "N")
    correction, spread = _fine_places(graph, maps, feats, partner0)
    position = graph.op("Add", _position(graph, log_p, partner0, maps[1]), correction)
    graph.output("position0", position, "float", "B", "N", 2)
    graph.output("partner1", graph.op("Cast", partner1, to=6), "int", "B", "M")
    graph.output("spread0", spread, "float", "B", "N")


def _fine_places(
    graph: Graph, maps: tuple[str, str], feats: tuple[str, str], partner0: str
) -> tuple[str, str]:
    """Add :class:`ifvit.models.fine_matching.FineMatchingHead`: corrections and their spread."""
    rows = [graph.op("Reshape", maps[i], graph.op("Shape", feats[i])) for i in (0, 1)]
    at = graph.op("Unsqueeze", partner0, np.array([2], np.int64))
    at = graph.op("Expand", at, graph.op("Shape", feats[0]))
    there = [graph.op("GatherElements", one, at, axis=1) for one in (rows[1], feats[1])]
    hidden = graph.op("Concat", rows[0], there[0], feats[0], there[1], axis=2)
    for layer in ("first", "second"):
        hidden = graph.op("Relu", add_linear(graph, hidden, f"FineMatchingHead/{layer}"))
    found = add_linear(graph, hidden, "FineMatchingHead/last")
    correction, raw = graph.ops("Split", 2, found, np.array([2, 1], np.int64), axis=2)
    raw = graph.op("Squeeze", raw, np.array([2], np.int64))
    spread = graph.op("Softplus", graph.op("Sub", raw, 1.0))
    return correction, graph.op("Add", spread, LEAST_SPREAD)


def _position(graph: Graph, log_p: str, partner0: str, map1: str) -> str:
    """Add the mean of the 3×3 cells around each partner, weighted by their confidence."""
    height, width = graph.size(map1, 1), graph.size(map1, 2)
    best = graph.op("Unsqueeze", partner0, np.array([2], np.int64))
    step = np.arange(9)
    row = graph.op("Add", graph.op("Div", best, width), step // 3 - 1)
    column = graph.op("Add", graph.op("Mod", best, width), step % 3 - 1)
    inside = graph.op("And", _between(graph, row, height), _between(graph, column, width))
    index = graph.op("Add", graph.op("Mul", row, width), column)
    index = graph.op("Where", inside, index, np.int64(0))
    value = graph.op("Exp", graph.op("GatherElements", log_p, index, axis=2))
    weight = graph.op("Where", inside, value, 0.0)
    total = graph.op("ReduceSum", weight, np.array([2], np.int64), keepdims=1)
    total = graph.op("Max", total, 1e-12)
    sums = [
        graph.op(
            "ReduceSum",
            graph.op("Mul", weight, graph.op("Cast", at, to=1)),
            np.array([2], np.int64),
            keepdims=1,
        )
        for at in (column, row)
    ]
    return graph.op("Div", graph.op("Concat", *sums, axis=2), total)


def _between(graph: Graph, value: str, size: str) -> str:
    low = graph.op("GreaterOrEqual", value, np.int64(0))
    return graph.op("And", low, graph.op("Less", value, size))
