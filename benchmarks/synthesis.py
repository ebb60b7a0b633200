"""How fast prints are made, and what training the tiny Module 1 costs beside them.

Usage: ``make bench``, or ``python benchmarks/synthesis.py --repeats 5``. The networks have random
weights, which take as long as trained ones.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from timing import measure, print_head

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.models.dense_reg import DenseRegModel
from ifvit.presets import DENSE_PRESETS
from ifvit.runtime.jax_runtime import compiled
from ifvit.sources.dense_synthetic import SyntheticPairs
from ifvit.sources.masters import MASTERS_PER_CALL, grow_masters
from ifvit.sources.truth import PairBatch
from ifvit.synthesis import Master, draw_impression, finger_key, make_masters, render
from ifvit.synthesis.master import MASTER_SHAPE
from ifvit.training.loop import make_optimizer
from ifvit.training.steps import dense_step

SEED = 0
BATCH = 8
FRAME = (400, 352)
"""What ``ifvit synth`` writes: height and width in pixels at 500 ppi."""


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


def bench_module1(batch: PairBatch, repeats: int) -> None:
    """Time Module 1, tiny, forwards and in a training step."""
    config = DENSE_PRESETS["tiny"]
    dense = DenseRegModel(config.model, rngs=nnx.Rngs(SEED))
    forward = compiled(nnx.view(dense, use_running_average=True), DenseRegModel.__call__)
    inputs = (batch.image0, batch.image1, batch.mask0, batch.mask1)
    name = f"Module 1 (tiny), forward, batch {BATCH}"
    measure(name, "pair", BATCH, repeats, lambda _: forward(*inputs))
    optimizer = make_optimizer(dense, config.optim)
    step = partial(dense_step, dense, optimizer, batch, config.loss.lambda_D, config.loss.lambda_F)
    name = f"Module 1 (tiny), training step, batch {BATCH}"
    measure(name, "pair", BATCH, repeats, lambda _: step())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="timed calls of each row")
    repeats = max(1, parser.parse_args().repeats)
    start = time.perf_counter()
    print_head(repeats)
    source = bench_synthesis(DENSE_PRESETS["tiny"].model, repeats)
    bench_module1(source.batch(0, BATCH), repeats)
    print(f"{time.perf_counter() - start:.0f} s in all")


if __name__ == "__main__":
    main()
