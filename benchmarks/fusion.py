"""Which weights of the scores separate genuine from impostor pairs best, by logistic regression.

Usage: ``python benchmarks/fusion.py SCORES.csv [SCORES.csv …]``, tables that ``ifvit evaluate``
wrote in pair mode. Pairs that could not be aligned are left out: no weight changes their score. EER
is that of the aligned pairs, with the weights beside it and with each table's own.
"""

from __future__ import annotations

import argparse

import numpy as np
from sklearn.linear_model import LogisticRegression

from ifvit.comparison.score import FUSION
from ifvit.evaluation.metrics import eer
from ifvit.evaluation.scores import read_scores

NAMES = ("ridges", "blocks", "matches", "maps")


def table(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores (P, 4) of the aligned pairs, and which of them are genuine."""
    rows = [row for row in read_scores(path) if row.status == "ok"]
    values = [(r.ridge_ncc, r.block_share, r.coverage, r.map_score) for r in rows]
    return np.array(values), np.array([row.label for row in rows], bool)


def fitted(values: np.ndarray, genuine: np.ndarray) -> np.ndarray:
    """Return the weights, which sum to 1; none is below 0."""
    weights = LogisticRegression(C=100.0, class_weight="balanced").fit(values, genuine).coef_[0]
    weights = np.maximum(weights, 0)
    return weights / weights.sum()


def main() -> None:
    """Print a line for each table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", nargs="+")
    args = parser.parse_args()
    used = np.array(FUSION)
    used = np.append(used, 1 - used.sum())
    first = None
    print(f"{'weights of':<24}" + "".join(f"{name:>12}" for name in NAMES))
    for path in args.scores:
        values, genuine = table(path)
        own = fitted(values, genuine)
        first = own if first is None else first
        print(f"{path[-24:]:<24}" + "".join(f"{weight:12.2f}" for weight in own))
        for name, weights in {"in use": used, "of the first table": first, "its own": own}.items():
            score = values @ weights
            print(f"  EER with those {name:<20}{100 * eer(score[genuine], score[~genuine]):6.2f} %")


if __name__ == "__main__":
    main()
