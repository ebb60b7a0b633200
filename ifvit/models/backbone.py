"""ResNet-18 up to stride 8: pixels in, one feature vector per coarse cell out.

The stem and three stages of He et al. ("Deep residual learning for image recognition", CVPR 2016)
in the form that LoFTR uses (Sun et al., CVPR 2021): no max pool, so that three strides of 2 give 8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ifvit.shapes import check_image_shape


def he_normal_fan_out(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """Draw a kernel (height, width, in, out) as PyTorch's ResNet does: He et al., ICCV 2015."""
    deviation = math.sqrt(2.0 / (shape[0] * shape[1] * shape[3]))
    # Drawn flat: XLA takes seconds on a CPU to compile a random draw of four dimensions.
    return (deviation * jax.random.normal(key, (math.prod(shape),), dtype)).reshape(shape)


def _conv(din: int, dout: int, size: int, stride: int, rngs: nnx.Rngs) -> nnx.Conv:
    # Padding is written out: "SAME" pads a strided convolution on one side only, PyTorch on both.
    pad = size // 2
    return nnx.Conv(
        din,
        dout,
        (size, size),
        strides=stride,
        padding=((pad, pad), (pad, pad)),
        use_bias=False,
        kernel_init=he_normal_fan_out,
        rngs=rngs,
    )


def _batch_norm(channels: int, rngs: nnx.Rngs) -> nnx.BatchNorm:
    # PyTorch's momentum 0.1 weighs the new value, Flax's 0.9 the old one: the same average.
    return nnx.BatchNorm(channels, momentum=0.9, epsilon=1e-5, use_fast_variance=False, rngs=rngs)


def _normalise_jointly(norm: nnx.BatchNorm, maps: Sequence[Array]) -> list[Array]:
    """Batch-normalise feature maps of several sizes as if they were one batch.

    With separate statistics, images of different sizes would be scaled differently in training, yet
    alike in use, where there is one running average.
    """
    if norm.use_running_average or len(maps) == 1:
        return [norm(x) for x in maps]
    flat = norm(jnp.concatenate([x.reshape(-1, x.shape[-1]) for x in maps]))
    sizes = [x.size // x.shape[-1] for x in maps]
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
    return [y.reshape(x.shape) for x, y in zip(maps, jnp.split(flat, ends), strict=True)]


class BasicBlock(nnx.Module):
    """Two 3×3 convolutions around which the input is added back."""

    def __init__(self, din: int, dout: int, stride: int, *, rngs: nnx.Rngs) -> None:
        """Make a block from ``din`` to ``dout`` channels that divides the size by ``stride``."""
        self.conv1 = _conv(din, dout, 3, stride, rngs)
        self.bn1 = _batch_norm(dout, rngs)
        self.conv2 = _conv(dout, dout, 3, 1, rngs)
        self.bn2 = _batch_norm(dout, rngs)
        self.has_downsample = stride != 1 or din != dout
        if self.has_downsample:
            self.downsample_conv = _conv(din, dout, 1, stride, rngs)
            self.downsample_bn = _batch_norm(dout, rngs)

    def __call__(self, maps: list[Array]) -> list[Array]:
        """Map feature maps (B,h,w,din) of any number of sizes to (B,h/stride,w/stride,dout)."""
        y = [nnx.relu(x) for x in _normalise_jointly(self.bn1, [self.conv1(x) for x in maps])]
        y = _normalise_jointly(self.bn2, [self.conv2(x) for x in y])
        if self.has_downsample:
            shortcut = [self.downsample_conv(x) for x in maps]
            maps = _normalise_jointly(self.downsample_bn, shortcut)
        return [nnx.relu(a + b) for a, b in zip(maps, y, strict=True)]


class ResNet18(nnx.Module):
    """Stem, three stages of two blocks (strides 2, 4 and 8), and a 1×1 projection to ``d_model``.

    All images of one call share the batch statistics, whatever their sizes.
    """

    def __init__(self, widths: Sequence[int], d_model: int, *, rngs: nnx.Rngs) -> None:
        """Make stages of ``widths`` channels, with random weights; the stem is as wide as the
        first."""
        self.remat = False  # Training may set it: the backward pass then computes blocks again.
        self.conv1 = _conv(1, widths[0], 7, 2, rngs)
        self.bn1 = _batch_norm(widths[0], rngs)
        blocks = []
        din = widths[0]
        for width, stride in zip(widths, (1, 2, 2), strict=True):
            blocks += [BasicBlock(din, width, stride, rngs=rngs)]
            blocks += [BasicBlock(width, width, 1, rngs=rngs)]
            din = width
        self.blocks = nnx.List(blocks)
        self.proj = _conv(din, d_model, 1, 1, rngs)

    def __call__(self, *images: Float[Array, "B _ _"]) -> tuple[Float[Array, "B _ _ D"], ...]:
        """Return the feature maps (B,H/8,W/8,D) of the images (B,H,W), in their order.

        The images may differ in H and W, which must be multiples of 8. Raises ValueError if they
        are not.
        """
        for image in images:
            check_image_shape(image.shape)
        # One convolution for all images of a size: fewer, larger operations, and half to compile.
        sizes = list(dict.fromkeys(image.shape[1:] for image in images))
        groups = [[i for i, image in enumerate(images) if image.shape[1:] == s] for s in sizes]
        maps = [jnp.concatenate([images[i] for i in group])[..., None] for group in groups]

        maps = _normalise_jointly(self.bn1, [self.conv1(x) for x in maps])
        maps = [nnx.relu(x) for x in maps]
        run = nnx.remat(BasicBlock.__call__) if self.remat else BasicBlock.__call__
        for block in self.blocks:
            maps = run(block, maps)
        maps = [self.proj(x) for x in maps]

        features: dict[int, Array] = {}
        for group, x in zip(groups, maps, strict=True):
            ends = [sum(images[i].shape[0] for i in group[: k + 1]) for k in range(len(group) - 1)]
            features.update(zip(group, jnp.split(x, ends), strict=True))
        return tuple(features[i] for i in range(len(images)))
