"""What bfloat16 costs Module 1 in accuracy: trained both ways on the same pairs.

Usage: ``python benchmarks/precision.py --preset tiny --epochs 4 --seeds 3``. Validation computes in
float32, as a match does. Two trainings in float32 of other seeds differ too: a difference between
the columns counts where it is larger than that.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace

from timing import machine

from ifvit.config import HardwareConfig, OptimConfig, RunConfig
from ifvit.presets import DENSE_PRESETS
from ifvit.training.dense import dense_sources, train_dense
from ifvit.weights.checkpoint import read_metadata

ROW = "{:<6} {:<10} {:>8} {:>14} {:>16} {:>10}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=sorted(DENSE_PRESETS), default="tiny")
    parser.add_argument("--epochs", type=int, default=10, help="of 400 pairs")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    optim = OptimConfig(epochs=args.epochs, pairs_per_epoch=400, batch_size=8)
    base = replace(DENSE_PRESETS[args.preset], optim=optim)
    print(f"{machine()}; preset {args.preset}, {args.epochs} epochs of 400 pairs")
    print(ROW.format("seed", "computes", "L_D", "cell accuracy", "within one cell", "seconds"))
    for seed in range(args.seeds):
        sources = dense_sources(replace(base, run=replace(base.run, seed=seed)))
        for dtype in ("float32", "bfloat16"):
            with tempfile.TemporaryDirectory() as folder:
                run, hardware = RunConfig(folder, seed=seed), HardwareConfig(compute_dtype=dtype)
                config = replace(base, run=run, hardware=hardware)
                start = time.perf_counter()
                found = read_metadata(train_dense(config, sources)).metrics
                seconds = time.perf_counter() - start
            accuracy = (found["val_cell_accuracy"], found["val_within_one_cell"])
            row = (seed, dtype, f"{found['L_D']:.3f}", *(f"{value:.3f}" for value in accuracy))
            print(ROW.format(*row, f"{seconds:.0f}"), flush=True)


if __name__ == "__main__":
    main()
