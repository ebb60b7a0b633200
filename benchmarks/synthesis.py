"""How fast prints are made, and what the tiny networks cost beside them.

Usage: ``make bench``, or ``python benchmarks/synthesis.py --repeats 5``. Each row is called once to
compile it and then several times, of which the median counts. The figures hold for the machine, its
free cores and the sizes that are printed with them. The networks have random weights, which take
as long as trained ones.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ifvit.config import DENSE_PRESETS, MATCH_PRESETS, REFERENCE_PPI, ModelConfig
from ifvit.data.pairs import PairBatch, frame_side
from ifvit.data.synthetic import MASTERS_PER_CALL, SyntheticPairs, grow_masters
from ifvit.models.matcher import MatcherModel
from ifvit.models.registration import DenseRegModel
from ifvit.pipeline.align import AlignConfig
from ifvit.pipeline.match import Matcher
from ifvit.pipeline.register import compiled
from ifvit.synthesis import Master, draw_impression, finger_key, make_masters, render
from ifvit.synthesis.master import MASTER_SHAPE
from ifvit.training.loop import make_optimizer
from ifvit.training.steps import dense_step

SEED = 0
BATCH = 8
FRAME = (400, 352)
"""What ``ifvit synth`` writes: height and width in pixels at 500 ppi."""

NEVER_REFUSE = AlignConfig(min_confidence=0.0, min_inliers=0)
"""Random weights align nothing; with these settings a match takes all its steps nevertheless."""

COLUMNS = "{:<46} {:<8} {:>10} {:>10} {:>17} {:>10}"


def measure(name: str, unit: str, count: int, repeats: int, call: Callable[[int], Any]) -> None:
    """Time ``call(i)``, which makes ``count`` units, for i = 0, 1, …, and print a table line.

    Each call is waited for. The time to compile is what the first one takes beyond the median.
    """
    seconds = []
    for index in range(repeats + 1):
        start = time.perf_counter()
        jax.block_until_ready(call(index))
        seconds.append(time.perf_counter() - start)
    first, *rest = seconds
    median = statistics.median(rest)
    each = [1000 * value / count for value in (median, min(rest), max(rest))]
    print(
        COLUMNS.format(
            *(name, unit, f"{count / median:.2f}", f"{each[0]:.1f}"),
            *(f"{each[1]:.1f} to {each[2]:.1f}", f"{max(0.0, first - median):.1f}"),
        ),
        flush=True,
    )


def machine() -> str:
    """Describe what the figures depend on."""
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed else os.cpu_count()
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    device = jax.devices()[0]
    return f"jax {jax.__version__} on {device.platform} ({device.device_kind}), {cores} cores{load}"


def bench_synthesis(model: ModelConfig, repeats: int) -> SyntheticPairs:
    """Time masters, impressions and pairs; return the source of the pairs."""
    size, fingers = MASTERS_PER_CALL, np.arange(BATCH)

    def grow(index: int) -> Master:
        return make_masters(SEED, jnp.arange(size) + (1 + index) * size)

    name = f"masters {MASTER_SHAPE[0]}×{MASTER_SHAPE[1]}, {size} a call"
    measure(name, "master", size, repeats, grow)
    masters = grow_masters(SEED, fingers)

    @jax.jit
    def draw(masters: Master, impression: jax.Array) -> jax.Array:
        def one(master: Master, finger: jax.Array) -> jax.Array:
            return render(
                master, draw_impression(finger_key(SEED, finger), impression), FRAME
            ).image

        return jax.vmap(one)(masters, jnp.asarray(fingers))

    frames = f"frames {FRAME[0]}×{FRAME[1]} at {REFERENCE_PPI} ppi, {BATCH} a call"
    measure(frames, "frame", BATCH, repeats, lambda i: draw(masters, jnp.asarray(i)))

    source = SyntheticPairs(SEED, fingers, masters, model, max_rotation=30.0, impostor_ratio=0.25)
    pairs = f"pairs {model.canvas}×{model.canvas} at {model.ppi} ppi with truth, {BATCH} a call"
    measure(pairs, "pair", BATCH, repeats, lambda i: source.batch(i, BATCH))
    return source


def bench_module1(batch: PairBatch, repeats: int) -> DenseRegModel:
    """Time Module 1, tiny, forwards and in a training step; return it."""
    config = DENSE_PRESETS["tiny"]
    dense = DenseRegModel(config.model, rngs=nnx.Rngs(SEED))
    forward = compiled(nnx.view(dense, use_running_average=True), DenseRegModel.__call__)
    inputs = (batch.image0, batch.image1, batch.mask0, batch.mask1)
    name = f"Module 1 (tiny), forward, batch {BATCH}"
    measure(name, "pair", BATCH, repeats, lambda _: forward(*inputs))
    optimizer = make_optimizer(dense, config)
    step = partial(dense_step, dense, optimizer, batch, config.lambda_D)
    name = f"Module 1 (tiny), training step, batch {BATCH}"
    measure(name, "pair", BATCH, repeats, lambda _: step())
    return dense


def bench_match(dense: DenseRegModel, masters: Master, repeats: int) -> None:
    """Time a whole match of two prints in memory: search, RANSAC, enhancement, Module 2."""
    config = MATCH_PRESETS["tiny"]
    network = MatcherModel(config.model, rngs=nnx.Rngs(SEED))
    matcher = Matcher(dense, network, config, NEVER_REFUSE)
    side = frame_side(config.model)
    master = Master(*(jnp.asarray(array[0]) for array in masters))
    prints = [
        np.asarray(render(master, draw_impression(finger_key(SEED, 0), i), (side, side)).image)
        for i in (0, 1)
    ]
    name = f"match (tiny), prints of {side}×{side} in memory"
    measure(name, "pair", 1, repeats, lambda _: matcher.match_images(*prints).score)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="timed calls of each row")
    repeats = max(1, parser.parse_args().repeats)
    start = time.perf_counter()
    print(f"{machine()}; median of {repeats} calls after the first")
    print(COLUMNS.format("what", "unit", "per second", "ms each", "ms, min to max", "compile s"))
    source = bench_synthesis(DENSE_PRESETS["tiny"].model, repeats)
    dense = bench_module1(source.batch(0, BATCH), repeats)
    bench_match(dense, source.masters, repeats)
    print(f"{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
