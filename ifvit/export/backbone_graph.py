"""ResNet-18 up to stride 8 as a graph: batch normalisation is folded into the convolutions."""

from __future__ import annotations

import numpy as np

from ifvit.export.graph import Graph

EPSILON = 1e-5
BLOCKS = 6


def add_backbone(graph: Graph, image: str, place: str = "ResNet18") -> str:
    """Add the backbone whose parameters stand under ``place``.

    ``image`` is (B, H, W); the feature map is (B, H/8, W/8, D), channels last as in
    :class:`ifvit.models.backbone.ResNet18`.
    """
    x = graph.op("Unsqueeze", image, np.array([1], np.int64))
    x = graph.op("Relu", add_conv(graph, x, f"{place}/conv1", f"{place}/bn1", stride=2))
    for index in range(BLOCKS):
        # The second and the third stage halve the size, in their first block.
        x = _block(graph, x, f"{place}/blocks/{index}", 2 if index in (2, 4) else 1)
    x = add_conv(graph, x, f"{place}/proj")
    return graph.op("Transpose", x, perm=[0, 2, 3, 1])


def _block(graph: Graph, x: str, place: str, stride: int) -> str:
    y = graph.op("Relu", add_conv(graph, x, f"{place}/conv1", f"{place}/bn1", stride))
    y = add_conv(graph, y, f"{place}/conv2", f"{place}/bn2")
    if f"{place}/downsample_conv/kernel" in graph.tensors:
        x = add_conv(graph, x, f"{place}/downsample_conv", f"{place}/downsample_bn", stride)
    return graph.op("Relu", graph.op("Add", x, y))


def add_conv(
    graph: Graph, x: str, place: str, norm: str | None = None, stride: int = 1, dilation: int = 1
) -> str:
    """Add a convolution of channels first, and the batch normalisation ``norm`` after it.

    Zeros beyond the edge keep the size at stride 1.
    """
    kernel = graph.tensor(f"{place}/kernel").transpose(3, 2, 0, 1)
    operands = []
    if norm is not None:
        scale, offset = folded_norm(graph, norm)
        kernel = kernel * scale[:, None, None, None]
        operands = [offset.astype(np.float32)]
    elif f"{place}/bias" in graph.tensors:
        operands = [graph.weight(f"{place}/bias")]
    size = kernel.shape[-1]
    return graph.op(
        "Conv",
        x,
        np.ascontiguousarray(kernel, np.float32),
        *operands,
        kernel_shape=[size, size],
        pads=[size // 2 * dilation] * 4,
        strides=[stride, stride],
        dilations=[dilation, dilation],
    )


def folded_norm(graph: Graph, place: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch normalisation by running averages as scale and offset, float64."""
    scale = graph.tensor(f"{place}/scale") / np.sqrt(graph.tensor(f"{place}/var") + EPSILON)
    offset = -graph.tensor(f"{place}/mean") * scale
    if f"{place}/bias" in graph.tensors:
        offset = offset + graph.tensor(f"{place}/bias")
    return scale, offset
