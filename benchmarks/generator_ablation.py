"""Which additions to the generator help on real prints, one by one.

Usage: ``python benchmarks/generator_ablation.py --dataset-root DIR …``. For each seed a ``tiny``
Module 1 first learns from prints that show none of the additions. From there it is trained on, as
often as there are arms: with none of them still, with each by itself, and with all. Every arm of a
seed has the same fingers, pairs and steps. Then each aligns the same genuine and impostor pairs of
the real data sets, which no training sees. Prints a table in Markdown, means over the sets: EER by
the share of the overlap that Module 1's matches agree on, EER by the ridges' correlation after
alignment, both in per cent, and the median of the two over genuine pairs. A training or a
measurement that is complete in ``--out`` is not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from ifvit.config import DenseConfig, DenseStartConfig, OptimConfig, RunConfig
from ifvit.data.prints import Print
from ifvit.data.readers import read_dataset
from ifvit.evaluation.metrics import eer
from ifvit.evaluation.protocols import all_pairs, fewer_impostors
from ifvit.presets import DENSE_PRESETS
from ifvit.registration.aligner import Aligner
from ifvit.sources.dense_synthetic import SyntheticPairs, synthetic_source
from ifvit.sources.masters import MASTERS_PER_CALL, VALIDATION_FINGERS
from ifvit.synthesis import ImpressionParams, Master, finger_key
from ifvit.synthesis import master as masters_module
from ifvit.synthesis import orientation as orientation_module
from ifvit.synthesis.ridges import grow
from ifvit.training.dense import train_dense
from ifvit.weights.storage import DENSE_FILE

WIDE = 1e4
"""Half a side, in pixels, of a sensor whose edges no frame shows."""


class Shown(NamedTuple):
    """Which additions impressions show, 1 or 0 each; a source takes it as a batch's ease."""

    edges: float = 0.0
    """The sensor's rectangle."""
    placement: float = 0.0
    """Fingers set down off their middle; without, within 0.4 of that."""
    moisture: float = 0.0
    """Pressure and moisture that vary over the print."""
    sweat: float = 0.0
    """Valleys that sweat fills."""
    sweep: float = 0.0
    """A finger seen longer or shorter by a sweep sensor."""
    skin: float = 0.0
    """Bumps of distortion; without, 3.5 / 4.5 of them, as they once were."""

    def of(self, params: ImpressionParams) -> ImpressionParams:
        """Return an impression that shows these alone."""
        return params._replace(
            window_half=jnp.where(self.edges > 0, params.window_half, WIDE),
            offset=params.offset * (0.4 + 0.6 * self.placement),
            unevenness=params.unevenness * self.moisture,
            wet=params.wet * self.sweat,
            sweep_stretch=params.sweep_stretch * self.sweep,
            sweep_wave=params.sweep_wave * self.sweep,
            bump_shift=params.bump_shift * (3.5 + self.skin) / 4.5,
        )


class Arm(NamedTuple):
    """What the prints of a training show."""

    shown: Shown
    minutiae: bool = False
    """Masters grown in 12 steps, with a wavering period, in place of 40 with an even one."""
    creases: bool = False
    """Creases across the pad, and ridges that turn level above the joint."""


NOTHING = Arm(Shown())
ARMS = {
    "none of them": NOTHING,
    **{name: Arm(Shown(**{name: 1.0})) for name in Shown._fields},
    "minutiae": Arm(Shown(), minutiae=True),
    "creases": Arm(Shown(), creases=True),
    "all of them": Arm(Shown(*[1.0] * len(Shown._fields)), minutiae=True, creases=True),
}


@cache
def fingers_of(seed: int, count: int, minutiae: bool, creases: bool) -> Master:
    """Grow fingers 0 to ``count - 1`` as this generator does, or as it did before."""
    with ExitStack() as before:
        if not minutiae:
            before.enter_context(patch.object(masters_module, "PERIOD_GRAIN", 0.0))
            before.enter_context(patch.object(masters_module, "grow", partial(grow, steps=40)))
        if not creases:
            none = lambda key: jnp.zeros(masters_module.MASTER_SHAPE)  # noqa: E731
            before.enter_context(patch.object(masters_module, "_creases", none))
            as_it_is = lambda theta, share: theta  # noqa: E731
            before.enter_context(patch.object(orientation_module, "_level", as_it_is))
        make = jax.jit(
            jax.vmap(lambda finger: masters_module.make_master(finger_key(seed, finger)))
        )
        numbers = np.arange(count).reshape(-1, MASTERS_PER_CALL)
        parts = [jax.tree.map(np.asarray, make(jnp.asarray(few))) for few in tqdm(numbers, "grow")]
    return jax.tree.map(lambda *a: np.concatenate(a), *parts)


def sources(config: DenseConfig, arm: Arm) -> tuple[SyntheticPairs, SyntheticPairs]:
    """Return a source that shows what the arm says, and that of validation, which shows all."""
    data, seed = config.data, config.run.seed
    held = synthetic_source(config, VALIDATION_FINGERS, data.val_fingers, genuine_only=True)
    train = SyntheticPairs(
        seed,
        np.arange(data.fingers),
        fingers_of(seed, data.fingers, arm.minutiae, arm.creases),
        config.model,
        max_rotation=data.max_rotation,
        impostor_ratio=data.impostor_ratio,
        turn=data.turn,
        ease=lambda index: arm.shown,
    )
    return train, held


def trained(config: DenseConfig, arm: Arm) -> Path:
    """Train as the arm says, where that is not complete yet, and return the checkpoint."""
    folder = Path(config.run.checkpoint_dir)
    path, done = folder / DENSE_FILE, folder / "done"
    if not done.exists():
        train_dense(config, sources(config, arm))
        done.touch()
    return path


class Measured(NamedTuple):
    """What a Module 1 makes of one data set; EER as shares."""

    match_eer: float
    ridge_eer: float
    coverage: float
    ridge_ncc: float


def measure(dense_ckpt: Path, prints: list[Print], genuine: int, impostors: int) -> Measured:
    """Align some pairs of a data set, the same for every checkpoint."""
    aligner = Aligner.from_checkpoint(dense_ckpt)
    prepared = cache(lambda i: aligner.extractor.extract(prints[i].path, prints[i].ppi))
    pairs = fewer_impostors(all_pairs(prints), impostors)
    mated = [pair for pair in pairs if pair.genuine]
    keep = np.random.default_rng(0).permutation(len(mated))[:genuine]
    pairs = [mated[i] for i in sorted(keep)] + [pair for pair in pairs if not pair.genuine]
    found = [aligner.register(prepared(p.index0), prepared(p.index1)) for p in tqdm(pairs, "align")]
    label = np.array([pair.genuine for pair in pairs])
    share = np.array([one.coverage if one.coverage is not None else 0.0 for one in found])
    ncc = np.array([one.ridge_ncc if one.ridge_ncc is not None else 0.0 for one in found])
    return Measured(
        eer(share[label], share[~label]),
        eer(ncc[label], ncc[~label]),
        float(np.median(share[label])),
        float(np.median(ncc[label])),
    )


def run(args: argparse.Namespace) -> dict[str, list[Measured]]:
    """Train and measure what is not there yet; return every arm's figures, by seed and set."""
    sets = {Path(root).name: read_dataset(root) for root in args.dataset_root}
    base = DENSE_PRESETS["tiny"]
    data = replace(base.data, fingers=args.fingers, max_rotation=45.0)
    first = OptimConfig(epochs=args.start_epochs, pairs_per_epoch=1000, batch_size=8)
    later = replace(first, epochs=args.epochs, learning_rate=first.learning_rate / 2)
    rows: dict[str, list[Measured]] = {name: [] for name in ARMS}
    for seed in args.seeds:
        folder = args.out / f"seed{seed}"
        at = RunConfig(str(folder / "start"), seed=seed)
        start = replace(base, data=data, optim=first, run=at)
        init = DenseStartConfig(init_from=str(trained(start, NOTHING)))
        for name, arm in ARMS.items():
            home = folder / name.replace(" ", "_")
            at = RunConfig(str(home), seed=seed)
            ckpt = trained(replace(start, start=init, optim=later, run=at), arm)
            for dataset, prints in sets.items():
                kept = home / f"{dataset}.json"
                if not kept.exists():
                    figures = measure(ckpt, prints, args.genuine, args.impostors)
                    kept.write_text(json.dumps(figures._asdict()))
                rows[name].append(Measured(**json.loads(kept.read_text())))
                print(seed, name, dataset, rows[name][-1], flush=True)
    return rows


def table(rows: dict[str, list[Measured]]) -> Iterable[str]:
    """Yield the lines of the table: means over sets and seeds."""
    yield "| the prints show | EER, matches | EER, ridges | matches, median | ridges, median |"
    yield "|---|---|---|---|---|"
    for name, row in rows.items():
        mean = Measured(*(statistics.mean(values) for values in zip(*row, strict=True)))
        rates = f"{100 * mean.match_eer:.1f} % | {100 * mean.ridge_eer:.1f} %"
        yield f"| {name} | {rates} | {mean.coverage:.3f} | {mean.ridge_ncc:.3f} |"


def main() -> None:
    """Run the arms and print their table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset-root", nargs="+", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/generator_ablation"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--fingers", type=int, default=400, help="a multiple of 8")
    parser.add_argument("--start-epochs", type=int, default=6, help="of 1,000 pairs, for the start")
    parser.add_argument("--epochs", type=int, default=2, help="of 1,000 pairs, for each arm")
    parser.add_argument("--genuine", type=int, default=80, help="pairs of each set")
    parser.add_argument("--impostors", type=int, default=80, help="pairs of each set")
    args = parser.parse_args()
    print("\n".join(table(run(args))))


if __name__ == "__main__":
    main()
