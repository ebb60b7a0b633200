"""What a step of training costs for each pair, and how much of it is making the pairs.

Usage: ``python benchmarks/training.py --preset paper --batch-size 8 --repeats 5``. Synthetic pairs,
as ``ifvit train-dense`` makes them, and prints, as ``train-match`` does. The share is data
preparation's part of the whole step.

``--growth`` instead shows how Module 1's step grows with the tokens of a canvas, and what the
options for less memory do: time, memory and operations, on made-up images. Linear attention grows
with the tokens, the matching matrix with their square. The memory is what the compiled step needs
beside weights, optimizer and batch.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from timing import machine, measure, print_head

from ifvit.config import HardwareConfig, ModelConfig
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherModel
from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS
from ifvit.sources.dense_synthetic import synthetic_source
from ifvit.sources.masters import masters_of
from ifvit.sources.posed import PoseError
from ifvit.sources.print_synthetic import SyntheticPrints
from ifvit.sources.truth import PairBatch
from ifvit.training.gradients import set_compute
from ifvit.training.loop import make_optimizer
from ifvit.training.print_steps import LossSettings, PrintTrainer, print_step
from ifvit.training.steps import dense_step

FINGERS = 16

CANVASES = (128, 192, 256)

OPTIONS: tuple[dict[str, Any], ...] = (
    {"accumulate": 4},
    {"remat": True},
    {"compute_dtype": "bfloat16"},
)

GROWTH = "{:<32} {:>7} {:>10} {:>10} {:>13} {:>10}"


def bench_dense(preset: str, size: int, repeats: int) -> None:
    """Time Module 1's pairs and its step."""
    config = DENSE_PRESETS[preset]
    source = synthetic_source(config, 0, FINGERS)
    model = DenseRegModel(config.model, rngs=nnx.Rngs(0))
    optimizer = make_optimizer(model, replace(config.optim, batch_size=size))
    weights = config.loss.lambda_D, config.loss.lambda_F
    batch = source.batch(0, size)
    made = measure("Module 1, pairs made", "pair", size, repeats, lambda i: source.batch(i, size))
    step = measure(
        f"Module 1, a step of {size} on {config.model.canvas}×{config.model.canvas}",
        *("pair", size, repeats),
        lambda _: dense_step(model, optimizer, batch, *weights),
    )
    print_share(made, step)


def bench_match(preset: str, size: int, repeats: int) -> None:
    """Time Module 2's prints and its step."""
    config = MATCH_PRESETS[preset]
    seed, data = config.run.seed, config.data
    source = SyntheticPrints(
        *(seed, np.arange(FINGERS), masters_of(seed, 0, FINGERS), config.model),
        hard=data.hard,
        zoom=data.zoom,
        error=PoseError.of(data),
    )
    trainer = PrintTrainer(MatcherModel(config.model, rngs=nnx.Rngs(0)), FINGERS, rngs=nnx.Rngs(1))
    optimizer = make_optimizer(trainer, replace(config.optim, batch_size=size))
    settings = LossSettings.of(config.loss)
    batch = source.batch(0, size)
    made = measure("Module 2, prints made", "print", size, repeats, lambda i: source.batch(i, size))
    step = measure(
        f"Module 2, a step of {size}",
        *("print", size, repeats),
        lambda _: print_step(trainer, optimizer, batch, settings),
    )
    print_share(made, step)


def print_share(made: float, step: float) -> None:
    """Print which part of a step of training goes into its data, if one waits for the other."""
    print(f"of which data preparation: {made / (made + step):.0%}")


def made_up(size: int, model: ModelConfig) -> PairBatch:
    """Return a batch of noise, each cell with its own place as its match."""
    rng = np.random.default_rng(0)
    image0, image1 = rng.normal(size=(2, size, model.canvas, model.canvas)).astype(np.float32)
    mask = np.ones((size, model.cells, model.cells), bool)
    matches0 = np.tile(np.arange(model.cells**2, dtype=np.int32), (size, 1))
    places1 = np.stack([matches0 % model.cells, matches0 // model.cells], axis=-1)
    places1 = places1.astype(np.float32)
    batch = PairBatch(image0, image1, mask, mask, matches0, places1, np.ones(size, bool))
    return jax.tree.map(jnp.asarray, batch)


def bench_growth(preset: str, size: int, repeats: int) -> None:
    """Print a row for each canvas, and for each option on the first of them."""
    print(GROWTH.format("what", "tokens", "ms a pair", "MB a pair", "GFLOP a pair", "compile s"))
    rows = [(canvas, {}) for canvas in CANVASES] + [(CANVASES[0], option) for option in OPTIONS]
    for canvas, option in rows:
        shape = replace(DENSE_PRESETS[preset].model, canvas=canvas)
        hardware = HardwareConfig(**option)
        model = DenseRegModel(shape, rngs=nnx.Rngs(0))
        set_compute(model, hardware)
        optim = replace(DENSE_PRESETS[preset].optim, batch_size=size)
        optimizer = make_optimizer(model, optim)
        given = (model, optimizer, made_up(size, shape), 1.0, 1.0)
        start = time.perf_counter()
        compiled = dense_step.lower(*given, accumulate=hardware.accumulate).compile()
        to_compile, seconds = time.perf_counter() - start, []
        for _ in range(repeats + 1):
            start = time.perf_counter()
            jax.block_until_ready(compiled(*given))
            seconds.append(time.perf_counter() - start)
        needs, does = compiled.compiled.memory_analysis(), compiled.compiled.cost_analysis()
        name = ", ".join([f"{canvas}×{canvas}", *(f"{key} {option[key]}" for key in option)])
        figures = (
            1000 * statistics.median(seconds[1:]) / size,
            needs.temp_size_in_bytes / 1e6 / size,
            # A loop's body, such as that of a step in parts, is counted once.
            does["flops"] / 1e9 / size * hardware.accumulate,
            to_compile,
        )
        row = (name, shape.cells**2, *(f"{figure:.1f}" for figure in figures))
        print(GROWTH.format(*row), flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=sorted(DENSE_PRESETS), default="tiny")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5, help="timed calls of each row")
    parser.add_argument("--growth", action="store_true", help="with tokens, and by option")
    args = parser.parse_args()
    print(f"preset {args.preset}")
    if args.growth:
        print(f"{machine()}; a step of {args.batch_size}, median of {args.repeats} after the first")
        bench_growth(args.preset, args.batch_size, args.repeats)
        return
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
