"""What the scale of a pair is worth: prints as they are, and reduced as those of smaller fingers.

Usage: ``python benchmarks/resolution.py --dataset-root DIR [DIR …] --reduce 1 0.85 0.7``. Every
print is reduced by each factor, by the mean over areas, and compared as if it were of the same
resolution still: a child's finger with that print. ``--step 1`` draws all prints as they are, and
``--canvas 160`` on one canvas; with both, a match is as it was before ridges were measured.
"""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ifvit.data.images import read_image
from ifvit.data.readers import read_dataset
from ifvit.evaluation.metrics import eer
from ifvit.evaluation.protocols import Pair, all_pairs, fewer_impostors
from ifvit.pipeline.fit import FIT_CONFIG, FitConfig
from ifvit.pipeline.matcher import Matcher
from ifvit.pipeline.prepared import PreparedPrint


def chosen_pairs(pairs: list[Pair], genuine: int, impostors: int) -> list[Pair]:
    """Return so many pairs of each kind, drawn at random; the same list gives the same choice."""
    kept = fewer_impostors(pairs, impostors)
    own = [pair for pair in kept if pair.genuine]
    drawn = np.random.default_rng(0).choice(len(own), min(genuine, len(own)), replace=False)
    return [own[i] for i in sorted(drawn)] + [pair for pair in kept if not pair.genuine]


def reduced(pixels: np.ndarray, factor: float) -> np.ndarray:
    """Return a print with ``factor`` times as many pixels along each side."""
    if factor == 1:
        return pixels
    height, width = (max(1, round(side * factor)) for side in pixels.shape)
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))


def line(matcher: Matcher, root: str, factor: float, args: argparse.Namespace) -> str:
    """Compare the pairs of one set, reduced by one factor, and return a row of the table."""
    prints = read_dataset(root, args.ppi)
    pairs = chosen_pairs(all_pairs(prints), args.genuine, args.impostors)

    @cache
    def prepared(index: int) -> PreparedPrint:
        pixels = reduced(read_image(prints[index].path), factor)
        return matcher.registrar.prepare(pixels, prints[index].ppi)

    periods, scales, scores = [], [], []
    for pair in tqdm(pairs, f"{Path(root).name} {factor}", leave=False):
        both = prepared(pair.index0), prepared(pair.index1)
        periods += [one.period.px for one in both]
        scales.append(matcher.registrar.fit(*both).scale)
        scores.append(matcher.match_images(*both).score)
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
    sizes = matcher.registrar.fit_config.sizes
    finest = 0 if args.step == 1 else FIT_CONFIG.finest
    step = FIT_CONFIG.step if args.step == 1 else args.step
    matcher.registrar.fit_config = FitConfig(step=step, finest=finest, sizes=sizes)
    print(
        "| set | size | period, px | scale, mean | EER | genuine, median | 5 % | impostor, most |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for root in args.dataset_root:
        for factor in args.reduce:
            print(line(matcher, root, factor, args), flush=True)


if __name__ == "__main__":
    main()
