"""How the parts of a score are put together best: by weights, or by a model of the other sets.

Usage: ``python benchmarks/fusion.py SCORES.csv SCORES.csv [SCORES.csv …]``, tables that ``ifvit
evaluate`` wrote in pair mode. Each table is judged with the weights in use and with what was fitted
to the others alone: logistic regression and monotone gradient boosting of the parts, and of the
parts with agreeing cells and the overlap's area. Pairs that could not be aligned score lowest.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ifvit.comparison.score import FUSION
from ifvit.evaluation.metrics import eer, fnmr_at_fmr
from ifvit.evaluation.scores import read_scores

PARTS = ("ridges", "blocks", "matches", "maps")
"""The first of a table's columns; the others are the agreeing cells and the overlap in mm²."""


class Table(NamedTuple):
    """The pairs of a set: what is known of each, whether it aligned, and whether it is genuine."""

    name: str
    values: np.ndarray
    aligned: np.ndarray
    genuine: np.ndarray


def read(path: str) -> Table:
    """Read a table; what an unaligned pair has no value of is 0."""
    rows = read_scores(path)
    values = [
        (r.ridge_ncc, r.block_share, r.coverage, r.map_score, r.num_inliers, r.overlap_mm2)
        for r in rows
    ]
    return Table(
        Path(path).parent.name,
        np.nan_to_num(np.array(values, float)),
        np.array([r.status == "ok" for r in rows]),
        np.array([r.label for r in rows], bool),
    )


def rates(table: Table, score: np.ndarray) -> str:
    """Return EER, and FNMR at an FMR of 0.1 %, of a table's pairs."""
    score = np.where(table.aligned, score, score.min() - 1)
    own, other = score[table.genuine], score[~table.genuine]
    return f"{100 * eer(own, other):.1f}, {100 * fnmr_at_fmr(own, other, 0.001):.1f} %"


def logistic(columns: int) -> Pipeline:
    """Return a logistic regression, both kinds of pairs as heavy."""
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))


def boosted(columns: int) -> HistGradientBoostingClassifier:
    """Return boosted trees that no column's rise makes lower."""
    return HistGradientBoostingClassifier(
        class_weight="balanced",
        monotonic_cst=[1] * columns,
        max_depth=3,
        max_iter=60,
        random_state=0,
    )


def by_others(
    tables: list[Table], make: Callable[[int], Pipeline], columns: int
) -> Iterable[tuple[Table, np.ndarray]]:
    """Return each table, and its scores by a model that was fitted to the others."""
    for table in tables:
        rest = [one for one in tables if one is not table]
        values = np.concatenate([one.values[one.aligned, :columns] for one in rest])
        model = make(columns).fit(
            values, np.concatenate([one.genuine[one.aligned] for one in rest])
        )
        yield table, model.decision_function(table.values[:, :columns])


def main() -> None:
    """Print a row for each way, a column for each table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scores", nargs="+")
    parser.add_argument("--weights", nargs=3, type=float, action="append", default=[])
    args = parser.parse_args()
    tables = [read(path) for path in args.scores]
    print("| EER, FMR1000 | " + " | ".join(table.name for table in tables) + " |")
    print("|---" * (len(tables) + 1) + "|")
    for given in [tuple(FUSION), *args.weights]:
        weights = np.append(given, 1 - sum(given))
        said = ", ".join(f"{n} {w:.2f}" for n, w in zip(PARTS, weights, strict=True))
        cells = [rates(table, table.values[:, :4] @ weights) for table in tables]
        print(f"| {said} | " + " | ".join(cells) + " |")
    for name, make in (("logistic", logistic), ("boosted", boosted)):
        for columns in (4, 6):
            cells = [rates(*one) for one in by_others(tables, make, columns)]
            print(f"| {name}, {columns} columns, of the others | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
