"""How many minutiae prints show to the square millimetre: synthetic ones beside real ones.

Usage: ``python benchmarks/minutiae.py --dataset-root DIR [DIR …]`` (``pip install scikit-image``).
Every print is enhanced as for a match, its ridges thinned, and ridge endings and bifurcations are
counted by the crossing number (Rutovitz 1966), well inside the print; two that lie closer than a
ridge period are a break or a bridge, and count for nothing. The same for both kinds of prints, so
that what the count gets wrong it gets wrong alike. Prints with less than 30 mm² are left out.

The last lines are of the examiner's minutiae (:mod:`ifvit.minutiae.minutiae`): how many of those
that the synthetic fingers have exactly are found, and how many that are found they have; and how
many pairs of a match are one minutia (:mod:`ifvit.minutiae.minutia_pairs`).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from skimage.morphology import skeletonize

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.data.prints import load_canvas, ridge_area
from ifvit.data.readers import read_dataset
from ifvit.dataset_spec import DatasetSpec
from ifvit.evaluation.exact_minutiae import (
    Counted,
    counted,
    exact_minutiae,
    identified,
    master_minutiae,
)
from ifvit.features.frame_features import frame_features
from ifvit.geometry.grid import frame_side
from ifvit.matcher import Matcher
from ifvit.minutiae.examined import examined
from ifvit.minutiae.minutiae import crossing_numbers, extract_minutiae
from ifvit.sources.masters import TEST_FINGERS
from ifvit.synthesis.dataset import make_dataset, write_dataset

MODEL = ModelConfig(canvas=192)
MARGIN_PX = 16
"""Distance from the print's border within which nothing is counted."""
CLOSEST_PX = 7
LEAST_MM2 = 30.0


def density(path: Path, ppi: int) -> float:
    """Return minutiae to the square millimetre, NaN for a print that is too small."""
    side = frame_side(MODEL)
    frame = load_canvas(path, ppi, REFERENCE_PPI, side)
    ridges = frame_features(frame, None, MODEL).ridges
    image = cv2.resize(ridges.image, (side, side), interpolation=cv2.INTER_CUBIC)
    mask = ridges.mask.repeat(side // MODEL.canvas, 0).repeat(side // MODEL.canvas, 1)
    inner = cv2.erode(mask.astype(np.uint8), np.ones((2 * MARGIN_PX + 1,) * 2, np.uint8)) > 0
    area = inner.sum() * (25.4 / REFERENCE_PPI) ** 2
    if area < LEAST_MM2:
        return float("nan")
    skeleton = np.asarray(skeletonize(image < 0), bool)
    crossing = crossing_numbers(skeleton)
    at = np.argwhere(((crossing == 1) | (crossing == 3)) & inner)
    apart = np.linalg.norm(at[:, None] - at[None], axis=-1) + 1e9 * np.eye(len(at))
    return float((apart.min(1, initial=np.inf) > CLOSEST_PX).sum() / area)


def show(name: str, prints: Iterable[tuple[Path, int]]) -> None:
    """Print the quartiles of some prints."""
    found = np.array([density(path, ppi) for path, ppi in prints])
    found = found[np.isfinite(found)]
    low, middle, high = np.percentile(found, [25, 50, 75])
    print(f"{name:<24} {len(found):>6} {low:>8.3f} {middle:>8.3f} {high:>8.3f}")


def exactness(spec: DatasetSpec) -> Counted:
    """Count the minutiae of synthetic prints that are found, by those that their fingers have."""
    total = np.zeros(len(Counted._fields), int)
    for finger, _, _, params, made in make_dataset(spec):
        master = master_minutiae(spec.seed, spec.first_finger + finger)
        exact = exact_minutiae(master, params, (spec.height, spec.width))
        image = np.asarray(made.image, np.float32)
        ridges = ridge_area(image, REFERENCE_PPI)
        total += counted(extract_minutiae(image, ridges), exact, ridges)
    return Counted(*total.tolist())


def paired(spec: DatasetSpec) -> np.ndarray:
    """Count pairs of both first impressions of each finger, by the weights that ship.

    Returns how many pairs there are, of how many both minutiae are known, of how many they are the
    same, and how many are found in both prints.
    """
    matcher, total = Matcher.from_pretrained(), np.zeros(4, int)
    shape = spec.height, spec.width
    made = [(finger, params, one.image) for finger, _, _, params, one in make_dataset(spec)]
    for finger in range(spec.fingers):
        both = [(params, image) for of, params, image in made if of == finger][:2]
        found = examined(matcher.match(*(np.asarray(image) for _, image in both)))
        master = master_minutiae(spec.seed, spec.first_finger + finger)
        which0, which1 = (
            identified(one, master, params, shape)
            for one, (params, _) in zip(found[:2], both, strict=True)
        )
        first, second = which0[found.pairs.index0], which1[found.pairs.index1]
        known = (first >= 0) & (second >= 0)
        shared = {*which0.tolist()} & {*which1.tolist()} - {-1}
        total += [len(first), known.sum(), (known & (first == second)).sum(), len(shared)]
    return total


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset-root", nargs="*", default=[], help="folders of real prints")
    parser.add_argument("--fingers", type=int, default=20, help="synthetic fingers")
    args = parser.parse_args()
    print(f"{'minutiae to the mm²':<24} {'prints':>6} {'25 %':>8} {'50 %':>8} {'75 %':>8}")
    with tempfile.TemporaryDirectory() as folder:
        spec = DatasetSpec(fingers=args.fingers, impressions=4, first_finger=TEST_FINGERS)
        show("synthetic", [(path, REFERENCE_PPI) for path in write_dataset(folder, spec)])
    for root in args.dataset_root:
        show(Path(root).name, [(item.path, item.ppi) for item in read_dataset(root)])
    found = exactness(spec)
    print(
        f"of {found.exact} exact minutiae {found.recall:.1%} are found; of {found.found} found "
        f"{found.precision:.1%} are exact, of those {found.same_type / found.right:.1%} by type"
    )
    pairs, known, same, shared = paired(spec)
    print(
        f"of {pairs} pairs {same / pairs:.1%} are one minutia of the finger, of the {known} whose "
        f"minutiae both are one {same / known:.1%}; of {shared} found in both prints "
        f"{same / shared:.1%} are paired"
    )


if __name__ == "__main__":
    main()
