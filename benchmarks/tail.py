"""Whether the impostor scores of a decision fall at least as fast as their tail is continued.

Usage: ``python benchmarks/tail.py [decision.json …]``; the decision that ships if none is given. A
generalised Pareto distribution is fitted to the highest scores, by maximum likelihood, where
``ifvit.comparison.tail`` has moments; its shape is 0 for an exponential, as which a tail of a shape
below 0 is continued, and below 0 for one that falls faster. The interval is of 95 %, by a bootstrap
over scores: comparisons that share a print are not independent, so that it is too narrow.
Source: Coles, "An introduction to statistical modeling of extreme values", Springer, chapter 4.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import genpareto

from ifvit.comparison.decision import DECISION_FILE, load_decision
from ifvit.weights.pretrained import pretrained_files

RESAMPLED = 200


def shape_of(beyond: np.ndarray) -> float:
    """Return the shape of a generalised Pareto distribution of excesses."""
    return float(genpareto.fit(beyond, floc=0)[0])


def main() -> None:
    """Fit and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("decisions", nargs="*")
    shipped = pretrained_files().matcher.with_name(DECISION_FILE)
    rng = np.random.default_rng(0)
    print("| scores | highest | shape | 95 % interval | FMR of 0.5, continued |")
    print("|---|---|---|---|---|")
    for path in parser.parse_args().decisions or [shipped]:
        decision = load_decision(path)
        impostor, rate = decision.impostor, decision.beyond(0.5)
        for share in (0.1, 0.05, 0.025):
            start = np.quantile(impostor, 1 - share)
            beyond = impostor[impostor > start] - start
            many = [shape_of(rng.choice(beyond, len(beyond))) for _ in range(RESAMPLED)]
            low, high = np.quantile(many, [0.025, 0.975])
            print(
                f"| {len(impostor)} | {100 * share:g} % | {shape_of(beyond):.2f} "
                f"| {low:.2f} to {high:.2f} | {rate.value:.1e} (up to {rate.high:.1e}) |",
                flush=True,
            )


if __name__ == "__main__":
    main()
