"""ONNX Runtime beside JAX, call by call in one run, and how soon each gives its first answer.

Usage: ``python benchmarks/engines.py``, after ``pip install 'ifvit[train]'``. Both engines have the
weights that ship with ifvit, or the checkpoints given; they see the same random images, with all of
the canvas as foreground, and are called in turn, so that a busy machine slows both. The ratio is
that of JAX's time to ONNX Runtime's. A start is that of a whole process: imports, loading, and one
call of each kind for one print or pair; JAX starts with an empty compilation cache, and again with
what that left.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
from timing import machine

from ifvit.config import STRIDE
from ifvit.export.onnx_export import export_onnx
from ifvit.runtime.calls import Engine
from ifvit.runtime.jax_runtime import JaxEngine
from ifvit.runtime.onnx_runtime import OnnxEngine
from ifvit.weights.pretrained import module_files

CANVASES = (160, 224)
BATCHES = (1, 8)
ROW = "{:<10} {:<9} {:>5} {:>14} {:>9} {:>7} {:>15}"

LOAD = {
    "onnx": "from ifvit.runtime.onnx_runtime import OnnxEngine as Engine\n"
    "engine = Engine({graphs!r}, threads={threads})\n",
    "jax": "from ifvit.runtime.jax_runtime import JaxEngine as Engine\n"
    "engine = Engine.from_checkpoints({dense!r}, {matcher!r})\n",
}
FIRST = """
import numpy as np
image, mask = np.zeros((1, 160, 160), np.float32), np.ones((1, 20, 20), bool)
features = engine.backbone(image)
engine.dense(features, features, mask, mask)
engine.pose(image, mask)
engine.code(image, mask)
"""


def calls(engine: Engine, batch: int, canvas: int) -> dict[str, Callable[[], object]]:
    """Return each kind of call on ``batch`` prints or pairs of this canvas, in pixels."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, batch, canvas, canvas)).astype(np.float32)
    mask = np.ones((batch, canvas // STRIDE, canvas // STRIDE), bool)
    maps = [engine.backbone(image) for image in images]
    return {
        "backbone": lambda: engine.backbone(images[0]),
        "dense": lambda: engine.dense(maps[0], maps[1], mask, mask),
        "pose": lambda: engine.pose(images[0], mask),
        "code": lambda: engine.code(images[0], mask),
    }


def in_turn(both: list[Callable[[], object]], repeats: int) -> list[list[float]]:
    """Time calls in turn, after two of each; return the seconds of each."""
    for call in both * 2:
        call()
    times: list[list[float]] = [[] for _ in both]
    for _ in range(repeats):
        for call, found in zip(both, times, strict=True):
            start = time.perf_counter()
            call()
            found.append(time.perf_counter() - start)
    return times


def print_calls(engines: list[Engine], repeats: int) -> None:
    """Print a line for each call, batch and canvas."""
    print(f"ms a call, median of {repeats} (least)")
    print(ROW.format("call", "canvas", "batch", "ONNX Runtime", "JAX", "ratio", "min to max"))
    for canvas in CANVASES:
        for batch in BATCHES:
            made = [calls(engine, batch, canvas) for engine in engines]
            for name in made[0]:
                times = in_turn([made[0][name], made[1][name]], repeats)
                ratios = sorted(b / a for a, b in zip(*times, strict=True))
                shown = [f"{1e3 * statistics.median(t):.1f} ({1e3 * min(t):.1f})" for t in times]
                ratio = f"{statistics.median(ratios):.2f}"
                spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
                size = f"{canvas}×{canvas}"
                print(ROW.format(name, size, batch, *shown, ratio, spread), flush=True)


def start_of(script: str, cache: str) -> tuple[float, float]:
    """Run a process; return its seconds by the clock, and those of the processors."""
    environment = {"JAX_COMPILATION_CACHE_DIR": cache, "IFVIT_CACHE": "off"}
    before, start = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ | environment)
    spent, after = time.perf_counter() - start, os.times()
    used = after.children_user + after.children_system
    return spent, used - before.children_user - before.children_system


def print_starts(values: dict[str, object], folder: str) -> None:
    """Print how long each engine takes from the start of a process to its first answers."""
    print("\nfirst answers of a process, seconds by the clock (of processors)")
    named = (("ONNX Runtime", "onnx"), ("JAX, first ever", "jax"), ("JAX, later", "jax"))
    for name, engine in named:
        spent, used = start_of(LOAD[engine].format(**values) + FIRST, f"{folder}/compiled")
        print(f"{name:<16} {spent:6.1f} ({used:.1f})", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dense-ckpt", help="both checkpoints, or those that ship with ifvit")
    parser.add_argument("--matcher-ckpt")
    parser.add_argument("--graphs", help="their exported graphs; if not given they are made first")
    parser.add_argument("--threads", type=int, default=2, help="of ONNX Runtime, for one call")
    parser.add_argument("--repeats", type=int, default=15)
    args = parser.parse_args()
    pair = module_files(args.dense_ckpt, args.matcher_ckpt)
    with TemporaryDirectory() as folder:
        graphs = args.graphs or str(export_onnx(Path(folder) / "graphs", *pair).paths[0].parent)
        print(f"{machine()}; onnxruntime {onnxruntime.__version__}, {args.threads} threads")
        engines: list[Engine] = [
            OnnxEngine(graphs, *pair, threads=args.threads),
            JaxEngine.from_checkpoints(*pair),
        ]
        print_calls(engines, args.repeats)
        dense, matcher = map(str, pair)
        values = {"graphs": graphs, "threads": args.threads, "dense": dense, "matcher": matcher}
        print_starts(values, folder)


if __name__ == "__main__":
    main()
