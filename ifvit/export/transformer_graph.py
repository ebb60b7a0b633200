"""Position encoding and both kinds of transformer as graphs, for any number of cells."""

from __future__ import annotations

import math

import numpy as np

from ifvit.config import ModelConfig
from ifvit.export.graph import Graph
from ifvit.models.tokens import frequencies

EPSILON = 1e-5
MASKED = -1e9


def add_tokens(graph: Graph, features: str, config: ModelConfig) -> str:
    """Add the position encoding to a feature map (B, h, w, D), and flatten it to tokens."""
    frequency = frequencies(config.d_model, config.temp_bug_fix)
    parts = []
    # Channels 4k to 4k+3 are sin x, cos x, sin y, cos y at the k-th frequency.
    for axis, unsqueezed in ((2, [0, 2, 3]), (1, [1, 2, 3])):
        at = graph.op("Cast", graph.line(graph.size(features, axis), first=1), to=1)
        at = graph.op("Unsqueeze", at, np.array(unsqueezed, np.int64))
        angle = graph.op("Mul", at, frequency[:, None])
        parts += [graph.op("Sin", angle), graph.op("Cos", angle)]
    zero = graph.op("Mul", graph.op("Add", parts[0], parts[2]), 0.0)  # (h, w, D/4, 1)
    encoding = graph.op("Concat", *(graph.op("Add", zero, p) for p in parts), axis=3)
    flat = graph.shape(graph.size(features, 1), graph.size(features, 2), config.d_model)
    placed = graph.op("Add", features, graph.op("Reshape", encoding, flat))
    return graph.op("Reshape", placed, np.array([0, -1, config.d_model], np.int64))


def add_token_mask(graph: Graph, mask: str) -> str:
    """Flatten a mask of cells (B, h, w) to one of tokens (B, N)."""
    return graph.op("Reshape", mask, np.array([0, -1], np.int64))


def add_transformer(
    graph: Graph, tokens: tuple[str, str], masks: tuple[str, str], config: ModelConfig, place: str
) -> tuple[str, str]:
    """Add the transformer whose parameters stand under ``place``; return both images' tokens.

    Even layers attend to the own image, odd ones to the other; image 1 attends to the image 0 that
    has just been updated, as in :class:`ifvit.models.transformer.LocalFeatureTransformer`.
    """
    feat0, feat1 = tokens
    mask0, mask1 = (_as_weights(graph, mask) for mask in masks)
    for index in range(config.num_layers):
        own = f"{place}/layers/{index}"
        if index % 2 == 0:
            feat0 = _layer(graph, feat0, feat0, mask0, config, own)
            feat1 = _layer(graph, feat1, feat1, mask1, config, own)
        else:
            feat0 = _layer(graph, feat0, feat1, mask1, config, own)
            feat1 = _layer(graph, feat1, feat0, mask0, config, own)
    return _last_norm(graph, feat0, config, place), _last_norm(graph, feat1, config, place)


def add_transformer_alone(
    graph: Graph, tokens: str, mask: str, config: ModelConfig, place: str
) -> str:
    """Add the transformer of one print, every layer of which attends to the print itself."""
    kept = _as_weights(graph, mask)
    for index in range(config.num_layers):
        tokens = _layer(graph, tokens, tokens, kept, config, f"{place}/layers/{index}")
    return _last_norm(graph, tokens, config, place)


def _as_weights(graph: Graph, mask: str) -> str:
    return graph.op("Cast", graph.op("Unsqueeze", mask, np.array([2], np.int64)), to=1)


def _layer(graph: Graph, x: str, source: str, mask: str, config: ModelConfig, place: str) -> str:
    kind = _loftr_layer if config.use_loftr else _pre_norm_layer
    return kind(graph, x, source, mask, config, place)


def _last_norm(graph: Graph, x: str, config: ModelConfig, place: str) -> str:
    return x if config.use_loftr else _norm(graph, x, f"{place}/norm")


def add_linear(graph: Graph, x: str, place: str) -> str:
    """Add a linear layer, with its bias if it has one."""
    y = graph.op("MatMul", x, graph.weight(f"{place}/kernel"))
    if f"{place}/bias" in graph.tensors:
        y = graph.op("Add", y, graph.weight(f"{place}/bias"))
    return y


def _norm(graph: Graph, x: str, place: str) -> str:
    scale, bias = graph.weight(f"{place}/scale"), graph.weight(f"{place}/bias")
    return graph.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON)


def _loftr_layer(
    graph: Graph, x: str, source: str, mask: str, config: ModelConfig, place: str
) -> str:
    query, key = (
        _positive(graph, add_linear(graph, value, f"{place}/{name}"))
        for value, name in ((x, "q_proj"), (source, "k_proj"))
    )
    value = add_linear(graph, source, f"{place}/v_proj")
    # Masked keys have no weight. The results of masked queries are computed, but never read.
    message = _linear_attention(graph, query, graph.op("Mul", key, mask), value, config)
    message = _norm(graph, add_linear(graph, message, f"{place}/merge"), f"{place}/norm1")
    both = graph.op("Concat", x, message, axis=2)
    hidden = graph.op("Relu", add_linear(graph, both, f"{place}/mlp/layers/0"))
    message = _norm(graph, add_linear(graph, hidden, f"{place}/mlp/layers/2"), f"{place}/norm2")
    return graph.op("Add", x, message)


def _positive(graph: Graph, x: str) -> str:
    """Add elu(x) + 1 by its two halves: runtimes compute an exponential faster than an Elu."""
    below = graph.op("Exp", graph.op("Min", x, 0.0))
    return graph.op("Add", graph.op("Relu", x), below)


def _linear_attention(graph: Graph, query: str, key: str, value: str, config: ModelConfig) -> str:
    """Attend in O(N), all heads in one product: entries between two heads are set to zero.

    Heads of 8 to 32 channels are so small that to bring them apart costs more than the zeros do.
    """
    width = config.d_model // config.num_heads
    ones = np.kron(np.eye(config.num_heads), np.ones((width, 1))).astype(np.float32)  # (D, heads)
    turned = graph.op("Transpose", key, perm=[0, 2, 1])
    kept = graph.op("Mul", graph.op("MatMul", turned, value), ones.repeat(width, axis=1))
    total = graph.op("ReduceSum", turned, np.array([2], np.int64), keepdims=1)
    weight = graph.op("MatMul", query, graph.op("Mul", total, ones))
    weight = graph.op("Unsqueeze", graph.op("Add", weight, 1e-6), np.array([3], np.int64))
    split = np.array([0, 0, config.num_heads, width], np.int64)
    message = graph.op("Reshape", graph.op("MatMul", query, kept), split)
    whole = np.array([0, 0, config.d_model], np.int64)
    return graph.op("Reshape", graph.op("Div", message, weight), whole)


def _pre_norm_layer(
    graph: Graph, x: str, source: str, mask: str, config: ModelConfig, place: str
) -> str:
    seen = _norm(graph, source, f"{place}/norm1")
    own = _norm(graph, x, f"{place}/norm1")
    query, key, value = (
        _split_heads(graph, add_linear(graph, given, f"{place}/{name}"), config, order)
        for given, name, order in (
            (own, "q_proj", [0, 2, 1, 3]),
            (seen, "k_proj", [0, 2, 3, 1]),
            (seen, "v_proj", [0, 2, 1, 3]),
        )
    )
    width = config.d_model // config.num_heads
    logits = graph.op("Mul", graph.op("MatMul", query, key), 1 / math.sqrt(width))
    keep = graph.op("Unsqueeze", graph.op("Transpose", mask, perm=[0, 2, 1]), np.array([1]))
    logits = graph.op("Where", graph.op("Cast", keep, to=9), logits, MASKED)
    # Softmax of equal logits is finite where no key is left; the product then empties it.
    weight = graph.op("Mul", graph.op("Softmax", logits, axis=-1), keep)
    seen = graph.op("Transpose", graph.op("MatMul", weight, value), perm=[0, 2, 1, 3])
    message = graph.op("Reshape", seen, np.array([0, 0, config.d_model], np.int64))
    x = graph.op("Add", x, add_linear(graph, message, f"{place}/merge"))
    hidden = add_linear(graph, _norm(graph, x, f"{place}/norm2"), f"{place}/mlp/layers/0")
    made = add_linear(graph, _gelu(graph, hidden), f"{place}/mlp/layers/2")
    return graph.op("Add", x, made)


def _split_heads(graph: Graph, x: str, config: ModelConfig, order: list[int]) -> str:
    heads = np.array([0, 0, config.num_heads, config.d_model // config.num_heads], np.int64)
    return graph.op("Transpose", graph.op("Reshape", x, heads), perm=order)


def _gelu(graph: Graph, x: str) -> str:
    """Add the GELU in its form by tanh, which is Flax's."""
    cubed = graph.op("Mul", graph.op("Mul", x, x), x)
    inner = graph.op("Add", x, graph.op("Mul", cubed, 0.044715))
    tanh = graph.op("Tanh", graph.op("Mul", inner, math.sqrt(2 / math.pi)))
    return graph.op("Mul", graph.op("Mul", x, 0.5), graph.op("Add", tanh, 1.0))
