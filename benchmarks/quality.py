"""Fit the quality of a print on synthetic ones, and judge it by errors against discarded prints.

Usage: ``python benchmarks/quality.py --fit DIR [DIR …] --judge DIR [DIR …]``. A genuine comparison
of two templates' dense maps counts as found above the threshold of an FMR of 0.1 %. Logistic
regression, with weights of at least 0, says how probable that is by the terms of both prints
(:func:`ifvit.features.quality.quality_terms`); the quality of one print is that of two like it.
What is printed first belongs into ``QUALITY_MODEL``. Then follows for each data set, by the model
in use, the share of the possible gain that discarding the worst fifth has, and the FNMR at 0, 5, 10
and 20 % discarded (ISO/IEC 29794-1).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ifvit.comparison.print_similarity import map_similarity
from ifvit.data.readers import read_dataset
from ifvit.evaluation.discard import discard_curve
from ifvit.evaluation.report import DISCARDED
from ifvit.features.coder import INT8
from ifvit.features.quality import QUALITY_MODEL, QualityModel, quality_terms
from ifvit.matcher import Matcher

FMR = 0.001
RIDGE = 1e-3
"""Weight of the squares of the coefficients, of standardised terms, a comparison."""

STEPS, RATE = 20_000, 0.5


class Measured(NamedTuple):
    """P prints of a data set."""

    fingers: np.ndarray
    terms: np.ndarray
    """(P, T)"""
    similarity: np.ndarray
    """(P, P) of their dense maps."""

    @property
    def genuine(self) -> tuple[np.ndarray, np.ndarray]:
        """Return both prints' numbers of each genuine comparison."""
        first, second = np.triu_indices(len(self.fingers), 1)
        same = self.fingers[first] == self.fingers[second]
        return first[same], second[same]

    @property
    def found(self) -> np.ndarray:
        """Return which genuine comparisons are found."""
        other = self.fingers[:, None] != self.fingers[None]
        return self.similarity[self.genuine] >= np.quantile(self.similarity[other], 1 - FMR)


def measured(matcher: Matcher, root: str, ppi: int | None) -> Measured:
    """Measure and embed all prints of a data set."""
    fingers, terms, cells, masks = [], [], [], []
    for item in read_dataset(root, ppi):
        features = matcher.extract(item.path, item.ppi)
        template = matcher.coder.template(features)
        fingers.append(item.finger)
        terms.append(quality_terms(features.evidence, int(template.mask.sum())))
        cells.append(template.cells)
        masks.append(template.mask)
    maps, shown = np.stack(cells).astype(np.float32) / INT8, np.stack(masks)
    similarity = np.asarray(map_similarity(maps, shown, maps, shown))
    return Measured(np.array(fingers), np.array(terms), similarity)


def fitted(sets: list[Measured]) -> QualityModel:
    """Return the model of all sets together, by descent along the gradient, weights kept at 0."""
    sums = [one.terms[first] + one.terms[second] for one in sets for first, second in [one.genuine]]
    terms, found = np.concatenate(sums), np.concatenate([one.found for one in sets])
    middle, spread = terms.mean(axis=0), terms.std(axis=0)
    scaled = (terms - middle) / spread
    bias, weights = 0.0, np.zeros(terms.shape[1])
    for _ in range(STEPS):
        excess = 1 / (1 + np.exp(-bias - scaled @ weights)) - found
        bias -= RATE * excess.mean()
        weights = np.maximum(weights - RATE * (scaled.T @ excess / len(found) + RIDGE * weights), 0)
    single = 2 * weights / spread  # of a print with one like itself
    return QualityModel(float(bias - middle @ (single / 2)), *map(float, single))


def main() -> None:
    """Print the model, and a line for each set that it is judged on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fit", nargs="*", default=[])
    parser.add_argument("--judge", nargs="*", default=[])
    parser.add_argument("--ppi", type=int)
    args = parser.parse_args()
    matcher = Matcher.from_pretrained()
    if args.fit:
        model = fitted([measured(matcher, root, args.ppi) for root in args.fit])
        print("fitted: " + ", ".join(f"{k} {v:.2f}" for k, v in model._asdict().items()))
    for root in args.judge:
        judge(Path(root).name, measured(matcher, root, args.ppi), QUALITY_MODEL)


def judge(name: str, one: Measured, model: QualityModel) -> None:
    """Print what is gained by discarding the worst, and the qualities of the set."""
    quality = 100 / (1 + np.exp(-model.bias - one.terms @ np.array(model[1:])))
    first, second = one.genuine
    curve = discard_curve(
        one.similarity[first, second], np.minimum(quality[first], quality[second])
    )
    left = ", ".join(f"{100 * curve.at(share):.1f}" for share in DISCARDED)
    ends = ", ".join(f"{v:.0f}" for v in np.quantile(quality, (0.05, 0.5, 0.95)))
    print(f"{name}: gain {curve.gain():.2f}, FNMR {left} %, quality (5, 50, 95 %) {ends}")


if __name__ == "__main__":
    main()
