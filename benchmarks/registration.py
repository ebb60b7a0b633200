"""How well a Module 1 registers prints: error in pixels against the exact map, by synthetic pairs.

Usage: ``python benchmarks/registration.py --dense-ckpt CKPT --pairs 200``. The pairs are of fingers
that no training of the package uses, turned against each other by any angle. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from ifvit.evaluation.mapped_pairs import mapped_pairs
from ifvit.evaluation.registration_quality import measure
from ifvit.features.features import Features
from ifvit.files import sha256_of
from ifvit.registration.aligner import Aligner
from ifvit.registration.alignment import Alignment
from ifvit.registration.pairing import OrderedPair, in_order
from ifvit.sources.masters import TEST_FINGERS
from ifvit.weights.pretrained import pretrained_files


def turned(pair: OrderedPair) -> OrderedPair:
    """Return a pair in the other order."""
    return pair._replace(prints=pair.prints[::-1], swapped=not pair.swapped)


class LargerFirst(Aligner):
    """An Aligner that processes the larger print of a pair as the first."""

    def register(self, print0: Features, print1: Features) -> Alignment:
        """Register two prints in the order that is not the usual one."""
        pair = turned(in_order(print0, print1, self.extractor))
        return pair.given(self.register_ordered(pair).on_prints(*pair.frames))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dense-ckpt", help="Module 1; if not given, what ships with ifvit")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--fingers", type=int, default=50)
    parser.add_argument("--turn", type=float, default=180.0, help="rotation of image 1, ± degrees")
    parser.add_argument("--hard", type=float, default=0.0, help="share of pulled and hard prints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--larger-first", action="store_true", help="pairs in the other order")
    args = parser.parse_args()
    dense_ckpt = Path(args.dense_ckpt or pretrained_files().dense)
    aligner = (LargerFirst if args.larger_first else Aligner).from_checkpoint(dense_ckpt)
    fingers = min(args.fingers, args.pairs)
    pairs = mapped_pairs(
        aligner.config,
        TEST_FINGERS,
        fingers,
        args.pairs,
        seed=args.seed,
        turn=args.turn,
        hard=args.hard,
    )
    figures = measure(aligner, pairs)
    made = {"dense_ckpt": dense_ckpt.name, "sha256": sha256_of(dense_ckpt)}
    settings = {"turn": args.turn, "hard": args.hard, "seed": args.seed}
    rounded = {name: round(value, 4) for name, value in asdict(figures).items()}
    print(json.dumps({**made, **settings, **rounded}, indent=2))


if __name__ == "__main__":
    main()
