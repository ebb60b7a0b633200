"""What each step of the registration is worth: the same pairs, with one step left out at a time.

Usage: ``python benchmarks/ablation.py --dataset-root DIR [--dense-ckpt CKPT] [--only NAME …]``.
Each row is the whole method but for what its name says; ``--dense-ckpt`` puts another Module 1 in.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from resolution import chosen_pairs
from tqdm import tqdm

from ifvit.data.prints import Print
from ifvit.data.readers import read_dataset
from ifvit.evaluation.metrics import eer, fnmr_at_fmr
from ifvit.evaluation.protocols import Pair, all_pairs
from ifvit.features.features import Features, read_features
from ifvit.matcher import Matcher
from ifvit.registration.aligner import Aligner
from ifvit.registration.joint import JointConfig

NEVER = 1e6

Prepared = Callable[[int], Features]
"""A set's prints by their place in it."""


def _refined(aligner: Aligner, **changes: object) -> None:
    aligner.refine_config = replace(aligner.refine_config, **changes)


def _aligned(aligner: Aligner, **changes: object) -> None:
    aligner.align_config = replace(aligner.align_config, **changes)


def _stiff(aligner: Aligner) -> None:
    rectify = replace(aligner.align_config.rectify, bending=NEVER)
    _aligned(aligner, rectify=rectify)


def _elastic(aligner: Aligner, **changes: object) -> None:
    _refined(aligner, elastic=replace(aligner.refine_config.elastic, **changes))


ALONE = JointConfig(stiffness=0.0)
"""Neighbours may differ at no cost, so that each block chooses for itself, as far as before."""


STEPS: dict[str, Callable[[Aligner], None]] = {
    "nothing": lambda aligner: None,
    "the third look of Module 1": lambda aligner: _aligned(aligner, followed=(2,)),
    "the field about each cell": _stiff,
    "how blocks bend the field": lambda aligner: _elastic(aligner, bending=NEVER),
    "what blocks are told by matches": lambda aligner: _refined(aligner, told_weight=0.0),
    "half of the matches' weight": lambda aligner: _refined(aligner, match_weight=0.3),
    "what blocks choose together": lambda aligner: _elastic(aligner, joint=ALONE),
    "two rounds of blocks": lambda aligner: _elastic(aligner, rounds=3),
}
"""What is left out, by name."""


def cached(prints: list[Print]) -> Prepared:
    """Return what reads and measures a print once, whatever compares it."""
    return cache(lambda index: read_features(prints[index].path, prints[index].ppi))


def row(matcher: Matcher, name: str, prepared: Prepared, pairs: list[Pair]) -> str:
    """Compare the pairs, and return a row of the table."""
    found = [
        matcher.match(prepared(pair.index0), prepared(pair.index1))
        for pair in tqdm(pairs, name, leave=False)
    ]
    genuine = np.array([pair.genuine for pair in pairs])
    scores = np.array([one.score for one in found])
    ridges = np.array([-1.0 if one.ridge_ncc is None else one.ridge_ncc for one in found])
    own, other = scores[genuine], scores[~genuine]
    return (
        f"| {name} | {100 * eer(own, other):.1f} % | {100 * fnmr_at_fmr(own, other, 0.01):.1f} % | "
        f"{100 * eer(ridges[genuine], ridges[~genuine]):.1f} % | {np.median(own):.2f} | "
        f"{np.quantile(own, 0.05):.2f} | {other.max():.2f} |"
    )


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset-root", nargs="+", required=True)
    parser.add_argument("--ppi", type=int, default=None)
    parser.add_argument("--genuine", type=int, default=280)
    parser.add_argument("--impostors", type=int, default=300)
    parser.add_argument("--dense-ckpt", help="another Module 1, of the same shape")
    parser.add_argument("--only", nargs="+", choices=list(STEPS), default=list(STEPS))
    args = parser.parse_args()
    for root in args.dataset_root:
        prints = read_dataset(root, args.ppi)
        pairs = chosen_pairs(all_pairs(prints), args.genuine, args.impostors)
        prepared = cached(prints)
        print(
            f"| {Path(root).name} without | EER | FNMR at FMR 1 % | ridges alone, EER | "
            "genuine, median | 5 % | impostor, most |\n|---|---|---|---|---|---|---|"
        )
        for name in args.only:
            matcher = Matcher.from_checkpoints()
            if args.dense_ckpt is not None:
                own = Aligner.from_checkpoint(args.dense_ckpt)
                own.align_config = matcher.aligner.align_config
                matcher.aligner = own
            STEPS[name](matcher.aligner)
            print(row(matcher, name, prepared, pairs), flush=True)


if __name__ == "__main__":
    main()
