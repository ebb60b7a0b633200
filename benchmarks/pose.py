"""How well Module 2's poses agree on real pairs: pair mode's registration is the reference.

Usage: ``python benchmarks/pose.py --dataset-root DIR [DIR …]``. From each finger the same number of
genuine pairs is drawn. The core of print 0 is laid on print 1 by the registration, with the skin's
distortion, and compared with the core found there; so is the direction, by the angle of the
registration. Pairs that pair mode cannot align are left out, and are counted.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ifvit.comparison.result import MatchResult
from ifvit.data.prints import Print
from ifvit.data.readers import read_dataset
from ifvit.matcher import Matcher

NEAR_PX, NEAR_DEG = 16.0, 10.0
"""Within these a pose counts as found: two cells of the dense map, at 500 ppi."""


class Difference(NamedTuple):
    """Between the poses of a pair: pixels at 500 ppi, and degrees."""

    shift: float
    turn: float

    @property
    def near(self) -> bool:
        """Return whether both poses are one."""
        return self.shift <= NEAR_PX and abs(self.turn) <= NEAR_DEG


def drawn_pairs(prints: list[Print], count: int, seed: int) -> list[tuple[Print, Print]]:
    """Return ``count`` pairs of impressions of each finger, or all where it has fewer."""
    rng = np.random.default_rng(seed)
    fingers: dict[str, list[Print]] = {}
    for item in prints:
        fingers.setdefault(item.finger, []).append(item)
    pairs = []
    for own in fingers.values():
        every = list(combinations(own, 2))
        chosen = rng.choice(len(every), min(count, len(every)), replace=False)
        pairs += [every[number] for number in chosen]
    return pairs


def difference(result: MatchResult) -> Difference:
    """Return how far the poses of both templates are from each other by the alignment."""
    first, second = result.templates
    placed = result.alignment.place(np.array([first.core]))[0]
    turn = second.rotation - first.rotation - result.alignment.angle
    shift = float(np.hypot(*(placed - np.array(second.core))))
    return Difference(shift, (turn + 180) % 360 - 180)


def main() -> None:
    """Print a line for each data set, and the pairs whose poses differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset-root", nargs="+", required=True)
    parser.add_argument("--ppi", type=int)
    parser.add_argument("--pairs", type=int, default=7, help="of each finger")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    matcher = Matcher.from_pretrained()
    for root in args.dataset_root:
        pairs = drawn_pairs(read_dataset(root, args.ppi), args.pairs, args.seed)
        found = []
        for print0, print1 in pairs:
            both = (matcher.extract(one.path, one.ppi) for one in (print0, print1))
            result = matcher.match(*both)
            if not result.ok:
                continue
            found.append(difference(result))
            if not found[-1].near:
                names = f"{print0.path.name} {print1.path.name}"
                print(f"  {names}: {found[-1].shift:.0f} px, {found[-1].turn:.0f}°")
        shift, turn = np.abs(np.array(found)).T
        ends = [f"{np.median(v):.1f}, {np.quantile(v, 0.9):.1f}" for v in (shift, turn)]
        print(
            f"{Path(root).name}: {len(found)} of {len(pairs)} pairs aligned, "
            f"{100 * np.mean([one.near for one in found]):.1f} % within {NEAR_PX:g} px and "
            f"{NEAR_DEG:g}° ({100 * np.mean(shift <= NEAR_PX):.1f} % by place, "
            f"{100 * np.mean(turn <= NEAR_DEG):.1f} % by direction); median and 90 %: "
            f"{ends[0]} px, {ends[1]}°"
        )


if __name__ == "__main__":
    main()
