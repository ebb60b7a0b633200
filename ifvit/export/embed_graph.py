"""Module 2 as a graph: both views of two aligned prints to their embeddings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ifvit.config import ModelConfig
from ifvit.export.backbone_graph import add_backbone
from ifvit.export.graph import Graph
from ifvit.export.transformer_graph import add_token_mask, add_tokens, add_transformer
from ifvit.models.embedding import POOL_GRID

EPSILON = 1e-5
LEAST_SQUARE = 1e-12
LOWEST = float(np.finfo(np.float32).min)


def embed_graph(tensors: Mapping[str, np.ndarray], config: ModelConfig) -> Graph:
    """Build the views of :class:`ifvit.runtime.calls.PairViews` → unit embeddings (B, E) of each.

    Inputs are called ``global0``, ``global1``, ``global_mask0``, ``global_mask1``, and so on,
    outputs ``global0_embedding``, ….
    """
    graph = Graph("embed", tensors)
    for branch, sizes in (("global", ("H", "W", "h", "w")), ("local", ("Hl", "Wl", "hl", "wl"))):
        images = [graph.input(f"{branch}{i}", "float", "B", *sizes[:2]) for i in (0, 1)]
        masks = [graph.input(f"{branch}_mask{i}", "bool", "B", *sizes[2:]) for i in (0, 1)]
        # Both prints in one batch: fewer, larger operations.
        both = add_backbone(graph, graph.op("Concat", *images, axis=0))
        maps = graph.ops("Split", 2, both, axis=0)
        flat = add_token_mask(graph, masks[0]), add_token_mask(graph, masks[1])
        tokens = add_tokens(graph, maps[0], config), add_tokens(graph, maps[1], config)
        own = f"loftr_transformer_{branch}"
        shared = f"{own}/layers/0/q_proj/kernel" not in tensors
        place = "loftr_transformer_global" if shared else own
        feats = add_transformer(graph, tokens, flat, config, place)
        for index, (feat, mask) in enumerate(zip(feats, masks, strict=True)):
            pooled = _pooled(graph, feat, mask, config)
            made = _embedding(graph, pooled, branch)
            graph.output(f"{branch}{index}_embedding", made, "float", "B", config.embedding_dim)
    return graph


def _pooled(graph: Graph, feat: str, mask: str, config: ModelConfig) -> str:
    """Add the means over regions and the maximum over all, as ``pool_tokens``: (B, P)."""
    height, width = graph.size(mask, 1), graph.size(mask, 2)
    rows, columns = _regions(graph, height), _regions(graph, width)
    shown = graph.op("Unsqueeze", mask, np.array([3], np.int64))
    kept = graph.op("Cast", shown, to=1)
    batch = graph.size(mask, 0)
    cells = graph.op("Reshape", feat, graph.shape(batch, height, width, config.d_model))
    total = _summed(graph, graph.op("Mul", cells, kept), rows, columns, config.d_model)
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


def _embedding(graph: Graph, pooled: str, branch: str) -> str:
    """Add projection, batch normalisation and division by the length."""
    place, norm = f"EmbeddingHead/{branch}_proj", f"EmbeddingHead/{branch}_norm"
    scale = graph.tensor(f"{norm}/scale") / np.sqrt(graph.tensor(f"{norm}/var") + EPSILON)
    kernel = (graph.tensor(f"{place}/kernel") * scale).astype(np.float32)
    offset = (-graph.tensor(f"{norm}/mean") * scale).astype(np.float32)
    made = graph.op("Add", graph.op("MatMul", pooled, kernel), offset)
    square = graph.op("ReduceSum", graph.op("Mul", made, made), np.array([1]), keepdims=1)
    return graph.op("Div", made, graph.op("Sqrt", graph.op("Max", square, LEAST_SQUARE)))
