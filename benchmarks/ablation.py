"""What each step is worth: the same pairs, with one step left out at a time, and which they change.

Usage: ``python benchmarks/ablation.py --dataset-root DIR [--dense-ckpt CKPT] [--only NAME …]``.
Each row is the whole method without what its name says; ``--dense-ckpt`` puts another Module 1 in.
Genuine pairs change where one is accepted at the FMR of 1 % of its own row and not at that of the
first, or the other way round; those that are lost without a step are named.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from registration import turned
from resolution import chosen_pairs
from tqdm import tqdm

from ifvit.comparison.score import Fusion
from ifvit.data.prints import Print
from ifvit.data.readers import read_dataset
from ifvit.evaluation.metrics import eer, fnmr_at_fmr
from ifvit.evaluation.protocols import Pair, all_pairs
from ifvit.features.features import Features, read_features
from ifvit.matcher import Matcher
from ifvit.registration.aligner import Aligner
from ifvit.registration.joint import JointConfig
from ifvit.runtime.calls import CellMatches, Engine

NEVER = 1e6
HALF_CELL = 0.5
"""Spread in cells of a match whose place within its cell is not known."""

NAMED = 4
"""Pairs that are named at most."""

Prepared = Callable[[int], Features]
"""A set's prints by their place in it."""


class Coarse:
    """An engine whose Module 1 says which cell a match lies in, and not where in it."""

    def __init__(self, engine: Engine) -> None:
        """Take what executes Module 1."""
        self.engine = engine

    def __getattr__(self, name: str) -> Any:
        """Leave everything else as it is."""
        return getattr(self.engine, name)

    def dense(self, *given: np.ndarray) -> CellMatches:
        """Match cells, each place the middle of its cell."""
        found, columns = self.engine.dense(*given), given[1].shape[2]
        middle = np.stack([found.partner0 % columns, found.partner0 // columns], axis=-1)
        spread = np.full_like(found.spread0, HALF_CELL)
        return found._replace(position0=middle.astype(np.float32), spread0=spread)


def _refined(matcher: Matcher, **changes: object) -> None:
    aligner = matcher.aligner
    aligner.refine_config = replace(aligner.refine_config, **changes)


def _aligned(matcher: Matcher, **changes: object) -> None:
    aligner = matcher.aligner
    aligner.align_config = replace(aligner.align_config, **changes)


def _stiff(matcher: Matcher) -> None:
    rectify = replace(matcher.aligner.align_config.rectify, bending=NEVER)
    _aligned(matcher, rectify=rectify)


def _elastic(matcher: Matcher, **changes: object) -> None:
    _refined(matcher, elastic=replace(matcher.aligner.refine_config.elastic, **changes))


def _coarse(matcher: Matcher) -> None:
    matcher.aligner.engine = Coarse(matcher.aligner.engine)


def _without_poses(matcher: Matcher) -> None:
    by_flow = partial(Aligner.register_ordered, matcher.aligner)
    otherwise = partial(Aligner.register_otherwise, matcher.aligner)
    matcher.aligner.register_ordered = lambda pair, hint: by_flow(pair)
    matcher.aligner.register_otherwise = lambda pair, hint: otherwise(pair)


def _larger_first(matcher: Matcher) -> None:
    matched = matcher._matched
    matcher._matched = lambda pair: matched(turned(pair))


def _registered_once(matcher: Matcher) -> None:
    matcher.aligner.register_otherwise = matcher.aligner.register_ordered


def _scored(matcher: Matcher, *fusion: float) -> None:
    matcher.decision = replace(matcher.decision, fusion=Fusion(*fusion))


ALONE = JointConfig(stiffness=0.0)
"""Neighbours may differ at no cost, so that each block chooses for itself, as far as before."""


STEPS: dict[str, Callable[[Matcher], None]] = {
    "nothing": lambda matcher: None,
    "the poses of Module 2 as a first look": _without_poses,
    "the fine level of Module 1": _coarse,
    "the second look of Module 1": lambda matcher: _aligned(matcher, faint=NEVER),
    "ending where little is seen": lambda matcher: _aligned(
        matcher, faint=0.0, promising=0.0, followed=(2, 1)
    ),
    "the smaller print as the first": _larger_first,
    "other looks at a pair in doubt": _registered_once,
    "ending where it is clear": lambda matcher: _aligned(matcher, clear=NEVER, clear_again=NEVER),
    "the field about each cell": _stiff,
    "how blocks bend the field": lambda matcher: _elastic(matcher, bending=NEVER),
    "what blocks are told by matches": lambda matcher: _refined(matcher, told_weight=0.0),
    "half of the matches' weight": lambda matcher: _refined(matcher, match_weight=0.3),
    "what blocks choose together": lambda matcher: _elastic(matcher, joint=ALONE),
    "two rounds of blocks": lambda matcher: _elastic(matcher, rounds=3),
    "the maps in the score": lambda matcher: _scored(matcher, 0.5, 0.1, 0.4),
    "all but the maps in the score": lambda matcher: _scored(matcher, 0.0, 0.0, 0.0),
}
"""What is left out, by name."""


def cached(prints: list[Print]) -> Prepared:
    """Return what reads and measures a print once, whatever compares it."""
    return cache(lambda index: read_features(prints[index].path, prints[index].ppi))


def compared(
    matcher: Matcher, name: str, prepared: Prepared, pairs: list[Pair]
) -> tuple[np.ndarray, np.ndarray]:
    """Compare the pairs; return their scores, and their ridges' correlations."""
    found = [
        matcher.match(prepared(pair.index0), prepared(pair.index1))
        for pair in tqdm(pairs, name, leave=False)
    ]
    ridges = [-1.0 if one.ridge_ncc is None else one.ridge_ncc for one in found]
    return np.array([one.score for one in found]), np.array(ridges)


def accepted(scores: np.ndarray, genuine: np.ndarray) -> np.ndarray:
    """Return which pairs are accepted at an FMR of 1 %, as these very pairs have it."""
    others = np.sort(scores[~genuine])[::-1]
    return np.asarray(scores > others[int(0.01 * len(others))])


def changed(before: np.ndarray, now: np.ndarray, names: list[str]) -> str:
    """Return how many genuine pairs are lost and won, and the names of some that are lost."""
    lost, won = before & ~now, now & ~before
    named = ", ".join(np.array(names)[lost][:NAMED])
    return f"{lost.sum()} lost, {won.sum()} won" + (f": {named}" if named else "")


def row(name: str, scores: np.ndarray, ridges: np.ndarray, genuine: np.ndarray) -> str:
    """Return a row of the table, but for what has changed."""
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
        prepared, genuine = cached(prints), np.array([pair.genuine for pair in pairs])
        names = [
            f"{prints[pair.index0].path.stem} × {prints[pair.index1].path.stem}"
            for pair in pairs
            if pair.genuine
        ]
        print(
            f"| {Path(root).name} without | EER | FNMR at FMR 1 % | ridges alone, EER | "
            "genuine, median | 5 % | impostor, most | genuine pairs that change |\n"
            "|---|---|---|---|---|---|---|---|"
        )
        first = None
        for name in args.only:
            matcher = Matcher.from_checkpoints()
            if args.dense_ckpt is not None:
                own = Aligner.from_checkpoint(args.dense_ckpt)
                own.align_config = matcher.aligner.align_config
                matcher.aligner = own
            STEPS[name](matcher)
            scores, ridges = compared(matcher, name, prepared, pairs)
            now = accepted(scores, genuine)[genuine]
            first = now if first is None else first
            print(row(name, scores, ridges, genuine), changed(first, now, names), "|", flush=True)


if __name__ == "__main__":
    main()
