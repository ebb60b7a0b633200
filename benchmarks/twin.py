"""Module 1's forward pass beside the same network in PyTorch, in one run.

Usage: ``python benchmarks/twin.py --repeats 9``. The twin is kornia's: LoFTR's ResNet up to stride
8, its sine encoding, coarse transformer and dual softmax, of the ``paper`` preset's shape. Both
have random weights, see the same images in float32 and are called in turn, so that a busy machine
slows both; both are called twice before that. Tests show that such twins compute the same numbers
(``tests/models``). Needs the extra ``dev``.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import jax
import numpy as np
import torch
from flax import nnx
from timing import machine

from ifvit.config import ModelConfig
from ifvit.models.dense_reg import DenseRegModel
from ifvit.presets import DENSE_PRESETS

with warnings.catch_warnings(action="ignore"):  # kornia's own, while it is imported
    from kornia.feature.loftr.backbone.resnet_fpn import ResNetFPN_8_2
    from kornia.feature.loftr.loftr_module.transformer import LocalFeatureTransformer
    from kornia.feature.loftr.utils.position_encoding import PositionEncodingSine

SIZES = (128, 224)
BATCHES = (1, 8)
ROW = "{:<12} {:<6} {:>12} {:>12} {:>8} {:>18}"


class Twin(torch.nn.Module):
    """Module 1 of the given shape, from kornia's parts."""

    def __init__(self, config: ModelConfig) -> None:
        """Random weights."""
        super().__init__()
        widths = list(config.backbone_widths)
        self.net = ResNetFPN_8_2({"initial_dim": widths[0], "block_dims": widths})
        self.project = torch.nn.Conv2d(widths[-1], config.d_model, 1, bias=False)
        self.encoding = PositionEncodingSine(config.d_model)
        self.transformer = LocalFeatureTransformer(
            {
                "d_model": config.d_model,
                "nhead": config.num_heads,
                "layer_names": ["self", "cross"] * (config.num_layers // 2),
                "attention": "linear",
            }
        )
        self.head = torch.nn.Linear(config.d_model, config.d_model, bias=False)
        self.scale = 1 / (config.d_model * config.temperature)

    def tokens(self, image: torch.Tensor) -> torch.Tensor:
        """Take images (B,1,H,W) to tokens (B,N,D)."""
        x = torch.relu(self.net.bn1(self.net.conv1(image)))
        x = self.net.layer3(self.net.layer2(self.net.layer1(x)))
        return self.encoding(self.project(x)).flatten(2).transpose(1, 2)

    def forward(self, image0: torch.Tensor, image1: torch.Tensor) -> torch.Tensor:
        """Return the log dual softmax (B,N,M)."""
        # In one batch, as kornia's LoFTR and ours do with images of one size.
        token0, token1 = self.tokens(torch.cat([image0, image1])).chunk(2)
        feat0, feat1 = self.transformer(token0, token1)
        similarity = torch.einsum("bnd,bmd->bnm", self.head(feat0), self.head(feat1)) * self.scale
        return similarity.log_softmax(2) + similarity.log_softmax(1)


def seconds(calls: list[Callable[[], object]], repeats: int) -> list[list[float]]:
    """Time calls in turn; return the times of each."""
    for call in calls * 2:
        call()
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, found in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            found.append(time.perf_counter() - start)
    return times


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=sorted(DENSE_PRESETS), default="paper")
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    config = DENSE_PRESETS[args.preset].model
    graph, state = nnx.split(
        nnx.view(DenseRegModel(config, rngs=nnx.Rngs(0)), use_running_average=True)
    )
    run = jax.jit(lambda state, a, b: nnx.merge(graph, state)(a, b).log_p)
    twin = Twin(config).eval()
    print(f"{machine()}; torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(
        f"preset {args.preset}, ms a call, median of {args.repeats}; ratio: PyTorch's time by ours"
    )
    print(ROW.format("size", "batch", "ifvit", "PyTorch", "ratio", "ratio, min to max"))
    for size in SIZES:
        for batch in BATCHES:
            images = np.random.default_rng(0).normal(size=(2, batch, size, size)).astype(np.float32)
            ours = [jax.numpy.asarray(image) for image in images]
            theirs = [torch.from_numpy(image[:, None]) for image in images]
            with torch.inference_mode():
                own, other = seconds(
                    [lambda x=ours: run(state, *x).block_until_ready(), lambda x=theirs: twin(*x)],
                    args.repeats,
                )
            ratios = sorted(b / a for a, b in zip(own, other, strict=True))
            row = (
                f"{size}×{size}",
                batch,
                *(f"{1000 * statistics.median(t):.1f}" for t in (own, other)),
            )
            middle = statistics.median(ratios)
            print(
                ROW.format(*row, f"{middle:.2f}", f"{ratios[0]:.2f} to {ratios[-1]:.2f}"),
                flush=True,
            )


if __name__ == "__main__":
    main()
