"""How well a plate over the cells follows pulled skin: laid through exact places, and inexact ones.

Usage: ``python benchmarks/plate.py --pairs 60 --noise 0 2.5``. The places are those of synthetic
pairs under force, of fingers that no training of the package uses; error in pixels at 500 ppi, the
mean over a pair's cells, its median and 90 % over the pairs.
"""

from __future__ import annotations

import argparse

import numpy as np
from jaxtyping import Float

from ifvit.evaluation.mapped_pairs import MappedPair, mapped_pairs
from ifvit.geometry.transforms import apply, fit_similarity, invert
from ifvit.presets import SMALL_MODEL
from ifvit.registration.plate import plate
from ifvit.sources.masters import TEST_FINGERS

STAYING = 1e-6
"""Where nothing is known the plate is to go on, here: all cells that count are known."""


def error(pair: MappedPair, noise: Float[np.ndarray, "N 2"], bending: float) -> float:
    """Return how far a plate through a pair's places, each off by some noise, is from them."""
    shown, centres = pair.valid, pair.centres
    whole = np.asarray(fit_similarity(centres[shown], pair.points1[shown], shown[shown]))
    moved = apply(invert(whole), pair.points1) - centres
    cells = round(len(centres) ** 0.5)
    sure = shown.astype(float).reshape(cells, cells, 1, 1)
    pull = sure * (moved + noise).reshape(cells, cells, 1, 2)
    laid = plate(sure, pull, bending, STAYING).reshape(-1, 2)
    return float(np.linalg.norm(laid - moved, axis=1)[shown].mean())


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 2.5])
    parser.add_argument("--bending", type=float, nargs="+", default=[0.1, 0.3, 1.0, 3.0, 10.0])
    args = parser.parse_args()
    pairs = mapped_pairs(SMALL_MODEL, TEST_FINGERS, min(50, args.pairs), args.pairs, hard=1.0)
    print("| noise, px along each axis | bending | median, px | 90 %, px |\n|---|---|---|---|")
    for deviation in args.noise:
        for bending in args.bending:
            rngs = map(np.random.default_rng, range(len(pairs)))
            found = [
                error(pair, deviation * rng.normal(size=pair.centres.shape), bending)
                for pair, rng in zip(pairs, rngs, strict=True)
            ]
            figures = f"{np.median(found):.2f} | {np.quantile(found, 0.9):.2f}"
            print(f"| {deviation:g} | {bending:g} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
