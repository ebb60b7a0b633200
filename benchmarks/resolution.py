"""What the scale of a pair is worth: prints as they are, and reduced as those of smaller fingers.

Usage: ``python benchmarks/resolution.py --dataset-root DIR [DIR …] --reduce 1 0.85 0.7``. Every
print is reduced by each factor, by the mean over areas, and compared as if it were of the same
resolution still: a child's finger with that print. ``--step 1`` draws all prints as they are, and
``--canvas 160`` on one canvas; with both, a match is as it was before ridges were measured.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ifvit.data.images import read_image
from ifvit.data.prints import resample
from ifvit.data.readers import read_dataset
from ifvit.evaluation.metrics import eer
from ifvit.evaluation.protocols import Pair, all_pairs, fewer_impostors
from ifvit.features.features import Features, features_of
from ifvit.features.fit import FIT_CONFIG
from ifvit.matcher import Matcher


def chosen_pairs(pairs: list[Pair], genuine: int, impostors: int) -> list[Pair]:
    """Return so many pairs of each kind, drawn at random; the same list gives the same choice."""
    kept = fewer_impostors(pairs, impostors)
    own = [pair for pair in kept if pair.genuine]
    drawn = np.random.default_rng(0).choice(len(own), min(genuine, len(own)), replace=False)
    return [own[i] for i in sorted(drawn)] + [pair for pair in kept if not pair.genuine]


def line(matcher: Matcher, root: str, factor: float, args: argparse.Namespace) -> str:
    """Compare the pairs of one set, reduced by one factor, and return a row of the table."""
    prints = read_dataset(root, args.ppi)
    pairs = chosen_pairs(all_pairs(prints), args.genuine, args.impostors)

    @cache
    def prepared(index: int) -> Features:
        path, ppi = prints[index].path, prints[index].ppi
        return features_of(resample(read_image(path), ppi, factor * ppi), ppi)

    periods, scales, scores = [], [], []
    for pair in tqdm(pairs, f"{Path(root).name} {factor}", leave=False):
        both = prepared(pair.index0), prepared(pair.index1)
        periods += [one.period.px for one in both]
        scales.append(matcher.extractor.fit(*both).scale)
        scores.append(matcher.match(*both).score)
    genuine = np.array([pair.genuine for pair in pairs])
    own, other = np.array(scores)[genuine], np.array(scores)[~genuine]
    return (
        f"| {Path(root).name} | {factor} | {np.nanmedian(periods):.1f} | {np.mean(scales):.2f} | "
        f"{100 * eer(own, other):.1f} % | {np.median(own):.2f} | {np.quantile(own, 0.05):.2f} | "
        f"{other.max():.2f} |"
    )


def main() -> None:
    """Print a row for each set and factor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset-root", nargs="+", required=True)
    parser.add_argument("--ppi", type=int, default=None)
    parser.add_argument("--reduce", nargs="+", type=float, default=[1.0, 0.85, 0.7])
    parser.add_argument("--genuine", type=int, default=120)
    parser.add_argument("--impostors", type=int, default=120)
    parser.add_argument("--step", type=float, default=FIT_CONFIG.step, help="between two scales")
    parser.add_argument("--canvas", type=int, default=None)
    args = parser.parse_args()
    matcher = Matcher.from_checkpoints(canvas=args.canvas)
    fit = matcher.extractor.fit_config
    as_they_are = args.step == 1
    changed = replace(fit, finest=0) if as_they_are else replace(fit, step=args.step)
    matcher.extractor.fit_config = changed
    print(
        "| set | size | period, px | scale, mean | EER | genuine, median | 5 % | impostor, most |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for root in args.dataset_root:
        for factor in args.reduce:
            print(line(matcher, root, factor, args), flush=True)


if __name__ == "__main__":
    main()
