"""What a step of training costs for each pair, and how much of it is making the pairs.

Usage: ``python benchmarks/training.py --preset paper --batch-size 8 --repeats 5``. Synthetic pairs,
as ``ifvit train-dense`` and ``train-match`` make them; Module 2's are aligned by their exact maps.
The share is data preparation's part of the whole step.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import jax
import numpy as np
from flax import nnx
from timing import measure, print_head

from ifvit.data.aligned import AlignmentError, SyntheticAligned
from ifvit.data.synthetic import masters_of
from ifvit.models.matcher import MatcherModel
from ifvit.models.registration import DenseRegModel
from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS
from ifvit.training.dense import synthetic_source
from ifvit.training.loop import make_optimizer
from ifvit.training.match import PLACEMENT_ROTATION
from ifvit.training.steps import MatchTrainer, dense_step, match_step, match_views

FINGERS = 16


def bench_dense(preset: str, size: int, repeats: int) -> None:
    """Time Module 1's pairs and its step."""
    config = replace(DENSE_PRESETS[preset], batch_size=size, fingers=FINGERS)
    source = synthetic_source(config, 0, FINGERS)
    model = DenseRegModel(config.model, rngs=nnx.Rngs(0))
    optimizer = make_optimizer(model, config)
    batch = source.batch(0, size)
    measure("Module 1, pairs made", "pair", size, repeats, lambda i: source.batch(i, size))
    measure(
        f"Module 1, a step of {size} on {config.model.canvas}×{config.model.canvas}",
        *("pair", size, repeats),
        lambda _: dense_step(model, optimizer, batch, config.lambda_D),
    )


def bench_match(preset: str, size: int, repeats: int) -> None:
    """Time Module 2's pairs, views included, and its step."""
    config = replace(MATCH_PRESETS[preset], batch_size=size, fingers=FINGERS)
    source = SyntheticAligned(
        *(config.seed, np.arange(FINGERS), masters_of(config.seed, 0, FINGERS), config.model),
        max_rotation=PLACEMENT_ROTATION,
        impostor_ratio=config.impostor_ratio,
    )
    trainer = MatchTrainer(MatcherModel(config.model, rngs=nnx.Rngs(0)), FINGERS, rngs=nnx.Rngs(1))
    optimizer = make_optimizer(trainer, config)
    error = AlignmentError(config.alignment_shift_px, config.alignment_rotation)

    def made(index: int):
        batch = source.aligned(index, size, error, config.template_ratio)
        return batch, *match_views(batch, config.model)

    batch, views, matches0 = made(0)
    measure("Module 2, pairs and views made", "pair", size, repeats, made)
    measure(
        f"Module 2, a step of {size}",
        *("pair", size, repeats),
        lambda _: match_step(trainer, optimizer, views, matches0, batch, config),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=sorted(DENSE_PRESETS), default="tiny")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5, help="timed calls of each row")
    args = parser.parse_args()
    print(f"preset {args.preset}")
    print_head(args.repeats)
    start = time.perf_counter()
    jax.block_until_ready(masters_of(0, 0, FINGERS))
    print(
        f"{FINGERS} fingers grown, or read from the cache, in {time.perf_counter() - start:.0f} s"
    )
    bench_dense(args.preset, args.batch_size, args.repeats)
    bench_match(args.preset, args.batch_size, args.repeats)


if __name__ == "__main__":
    main()
