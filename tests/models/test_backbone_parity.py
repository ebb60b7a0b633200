"""ResNet-18 against PyTorch: kornia's LoFTR backbone up to stride 8, which is the same network.

Errors are relative to the largest value of the reference.
"""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

from ifvit.models.backbone import BasicBlock, ResNet18

with warnings.catch_warnings(action="ignore"):  # kornia's own, while it is imported
    from kornia.feature.loftr.backbone.resnet_fpn import BasicBlock as TorchBlock
    from kornia.feature.loftr.backbone.resnet_fpn import ResNetFPN_8_2

TOLERANCE = 1e-5
MOMENTUM = 0.1
"""PyTorch's, the weight of the new value."""


def error(own: np.ndarray | jax.Array, reference: torch.Tensor) -> float:
    a, b = np.asarray(own, np.float64), reference.detach().numpy().astype(np.float64)
    assert a.shape == b.shape
    return float(np.abs(a - b).max() / np.abs(b).max())


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    """Give norms and running averages values that no two of them share."""
    torch.manual_seed(1)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(part.weight, 1.0, 0.3)
            torch.nn.init.normal_(part.bias, 0.0, 0.3)
            torch.nn.init.normal_(part.running_mean, 0.0, 0.3)
            torch.nn.init.uniform_(part.running_var, 0.5, 2.0)
    return module


def copy_conv(ours: nnx.Conv, theirs: torch.nn.Conv2d) -> None:
    # PyTorch keeps (out, in, height, width).
    ours.kernel[...] = jnp.asarray(theirs.weight.detach().numpy().transpose(2, 3, 1, 0))


def copy_norm(ours: nnx.BatchNorm, theirs: torch.nn.BatchNorm2d) -> None:
    for own, other in (
        (ours.scale, theirs.weight),
        (ours.bias, theirs.bias),
        (ours.mean, theirs.running_mean),
        (ours.var, theirs.running_var),
    ):
        own[...] = jnp.asarray(other.detach().numpy())


def copy_block(ours: BasicBlock, theirs: TorchBlock) -> None:
    for number in ("1", "2"):
        copy_conv(getattr(ours, f"conv{number}"), getattr(theirs, f"conv{number}"))
        copy_norm(getattr(ours, f"bn{number}"), getattr(theirs, f"bn{number}"))
    assert ours.has_downsample == (theirs.downsample is not None)
    if theirs.downsample is not None:
        copy_conv(ours.downsample_conv, theirs.downsample[0])
        copy_norm(ours.downsample_bn, theirs.downsample[1])


def nchw(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x.transpose(0, 3, 1, 2).copy())


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("size", [(12, 16), (9, 13)], ids=["even", "odd"])
@pytest.mark.parametrize(("din", "dout", "stride"), [(6, 6, 1), (6, 10, 2)])
def test_a_block(din, dout, stride, size, train):
    """Padding by the sizes, epsilon by the values, momentum by the running averages."""
    theirs = randomised(TorchBlock(din, dout, stride)).train(train)
    ours = BasicBlock(din, dout, stride, rngs=nnx.Rngs(0))
    copy_block(ours, theirs)
    view = nnx.view(ours, use_running_average=not train)
    x = np.random.default_rng(0).normal(size=(3, *size, din)).astype(np.float32)
    before = theirs.bn1.running_var.clone()
    (own,) = view([jnp.asarray(x)])
    reference = theirs(nchw(x))
    assert error(own, reference.permute(0, 2, 3, 1)) < TOLERANCE
    assert error(ours.bn1.mean[...], theirs.bn1.running_mean) < TOLERANCE
    # PyTorch puts the unbiased variance into its average, Flax the one that it normalises by.
    pixels = own.size // dout
    share = (1 - MOMENTUM) * before.numpy() if train else before.numpy()
    added = np.asarray(ours.bn1.var[...]) - share
    unbiased = share + added * (pixels / (pixels - 1) if train else 1)
    assert error(unbiased, theirs.bn1.running_var) < TOLERANCE
    assert train or np.array_equal(ours.bn1.var[...], before.numpy())


def networks(widths: tuple[int, int, int]) -> tuple[ResNet18, ResNetFPN_8_2]:
    """Both networks with the same weights: stem, three stages, and the projection behind them."""
    config = {"initial_dim": widths[0], "block_dims": list(widths)}
    theirs = randomised(ResNetFPN_8_2(config))
    ours = ResNet18(widths, widths[2], rngs=nnx.Rngs(0))
    copy_conv(ours.conv1, theirs.conv1)
    copy_norm(ours.bn1, theirs.bn1)
    blocks = [block for layer in (theirs.layer1, theirs.layer2, theirs.layer3) for block in layer]
    for own, other in zip(ours.blocks, blocks, strict=True):
        copy_block(own, other)
    copy_conv(ours.proj, theirs.layer3_outconv)
    return ours, theirs


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("size", [(64, 64), (40, 72)])
@pytest.mark.heavy
def test_the_whole_backbone_and_its_gradient(size, train):
    ours, theirs = networks((8, 12, 16))
    theirs.train(train)
    image = np.random.default_rng(2).normal(size=(2, *size)).astype(np.float32)
    weight = np.random.default_rng(3).normal(size=(2, size[0] // 8, size[1] // 8, 16))
    weight = weight.astype(np.float32)

    def loss(image: jax.Array) -> tuple[jax.Array, jax.Array]:
        (features,) = nnx.view(nnx.clone(ours), use_running_average=not train)(image)
        return (features * weight).sum(), features

    (_, own), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(jnp.asarray(image))
    given = torch.from_numpy(image)[:, None].requires_grad_()
    reference = theirs(given)[0].permute(0, 2, 3, 1)
    (reference * torch.from_numpy(weight)).sum().backward()
    assert error(own, reference) < TOLERANCE
    assert given.grad is not None
    assert error(gradient, given.grad[:, 0]) < TOLERANCE


@pytest.mark.heavy
def test_padding_on_one_side_would_be_noticed():
    ours, theirs = networks((8, 12, 16))
    theirs.eval()
    image = np.random.default_rng(2).normal(size=(2, 64, 64)).astype(np.float32)
    block = ours.blocks[2]
    block.conv1.padding = "SAME"
    (own,) = nnx.view(ours, use_running_average=True)(jnp.asarray(image))
    reference = theirs(torch.from_numpy(image)[:, None])[0].permute(0, 2, 3, 1)
    assert error(own, reference) > 1000 * TOLERANCE
