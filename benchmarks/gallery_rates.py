"""How often a gallery finds who is enrolled, and somebody for who is not.

Usage: ``python benchmarks/gallery_rates.py FOLDER… --background 200 --probes 3``. Of the fingers of
each data set every second one is enrolled, its first print, among so many synthetic fingers; the
next prints of all are the probes. With ``--synthetic-probes K`` the second prints of K synthetic
fingers that are enrolled, and of K others, are probes too. Reported are, by ISO/IEC 19795-1, the
rank-1 identification rate of enrolled fingers after each stage, and FNIR and FPIR at the threshold
that a search uses for an FPIR, as they came out, for each kind of probes.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from ifvit.data.prints import Print
from ifvit.data.readers import read_dataset
from ifvit.gallery.enrolment import Entry
from ifvit.gallery.gallery import Gallery
from ifvit.gallery.open_set import OpenSet
from ifvit.synthesis.dataset import DatasetSpec, write_dataset

FPIRS = (0.1, 0.01, 0.001)


def subject(item: Print) -> str:
    """Return what a finger is called."""
    return f"{item.dataset}/{item.finger}"


def divided(roots: list[str], probes: int) -> tuple[list[Print], list[Print], list[Print]]:
    """Return the prints to enrol, and the probes of fingers that are enrolled and of others."""
    enrolled, mated, strangers = list[Print](), list[Print](), list[Print]()
    for root in roots:
        prints = read_dataset(root)
        for number, finger in enumerate(dict.fromkeys(item.finger for item in prints)):
            first, *others = (item for item in prints if item.finger == finger)
            if number % 2:
                strangers += others[:probes]
            else:
                enrolled.append(first)
                mated += others[:probes]
    return enrolled, mated, strangers


class Probe(NamedTuple):
    """A print to search for, and whose it is; nobody's of the gallery without a subject."""

    kind: str
    path: Path
    ppi: int
    subject: str = ""


def synthetic(folder: Path, background: int, probes: int) -> tuple[list[Entry], list[Probe]]:
    """Write synthetic prints; return those to enrol, and probes of them and of others."""
    if not (folder / "manifest.csv").exists():
        spec = DatasetSpec(fingers=background + probes, impressions=2 if probes else 1)
        write_dataset(folder, spec, progress=lambda items, total: tqdm(items, "drawing", total))
    enrolled = [
        Entry(path, f"synthetic {n}", name=path.name)
        for n in range(1, background + 1)
        for path in [folder / f"{n}_1.png"]
    ]
    spread = [1 + n * background // max(probes, 1) for n in range(probes)]
    mated = [Probe("synthetic", folder / f"{n}_2.png", 500, f"synthetic {n}") for n in spread]
    others = range(background + 1, background + probes + 1)
    return enrolled, mated + [Probe("synthetic", folder / f"{n}_2.png", 500) for n in others]


def main() -> None:
    """Enrol, search, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roots", nargs="+")
    parser.add_argument("--background", type=int, default=200)
    parser.add_argument("--probes", type=int, default=3)
    parser.add_argument("--synthetic-probes", type=int, default=0)
    parser.add_argument("--folder", default="")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        drawn = folder / "background", options.background, options.synthetic_probes
        listed, probes = synthetic(*drawn)
        enrolled, mated, strangers = divided(options.roots, options.probes)
        listed += [Entry(p.path, subject(p), "", float(p.ppi), str(p.path)) for p in enrolled]
        probes += [Probe("real", Path(p.path), p.ppi, subject(p)) for p in mated]
        probes += [Probe("real", Path(p.path), p.ppi) for p in strangers]
        gallery = Gallery(folder / "gallery", create=True)
        told = Counter(one.state for one in tqdm(gallery.enrolling(listed, keep_prints=True)))
        print(f"gallery of {len(gallery)} prints: {dict(told)}", flush=True)
        searches = [(probe, searched(gallery, probe)) for probe in tqdm(probes, "searching")]
        for kind in dict.fromkeys(probe.kind for probe in probes):
            report(gallery, kind, [one for one in searches if one[0].kind == kind])
        if options.synthetic_probes:
            report(gallery, "all", searches)


class Searched(NamedTuple):
    """What a search came to."""

    right: tuple[bool, bool, bool]
    """Whether the first candidate by index vector, by map and by pair is the probe's finger."""
    score: float
    """Of the probe's own finger, or of the first candidate where it is nobody's."""


def searched(gallery: Gallery, probe: Probe) -> Searched:
    """Search for a probe."""
    found = gallery.search(probe.path, ppi=probe.ppi, top=len(gallery), fpir=0.01).candidates
    orders = (
        max(found, key=lambda one: one.index_score),
        max(found, key=lambda one: one.map_score),
        found[0],
    )
    scores = [one.score for one in found if one.subject == probe.subject or not probe.subject]
    score = -1.0 if scores[0] is None else scores[0]
    first, second, third = (one.subject == probe.subject for one in orders)
    return Searched((first, second, third), score)


def report(gallery: Gallery, kind: str, searches: list[tuple[Probe, Searched]]) -> None:
    """Print the rates of some probes."""
    mated = [one for probe, one in searches if probe.subject]
    scores = np.array([one.score for one in mated])
    others = np.array([one.score for probe, one in searches if not probe.subject])
    size, rates = len(gallery), OpenSet(gallery.matcher.decision)
    print(f"{kind}: {len(mated)} probes of enrolled fingers, {len(others)} others")
    for stage, right in zip(
        ("index", "maps", "pairs"), zip(*(m.right for m in mated), strict=True), strict=True
    ):
        print(f"  rank 1 after {stage:<6} {100 * np.mean(right):6.2f} %, {sum(right)}")
    for fpir in FPIRS:
        limit = rates.threshold(fpir, size)
        if limit is not None:
            missed, seen = scores < limit.value, others >= limit.value
            print(
                f"  at FPIR {100 * fpir:g} % (score from {limit.value:.3f}): "
                f"FNIR {100 * missed.mean():.2f} %, {missed.sum()}; "
                f"FPIR as it came out {100 * seen.mean():.2f} %, {seen.sum()}"
            )
    # What the scores themselves can do, whatever the calibration says of the tail.
    for fpir in FPIRS:
        limit = np.sort(others)[::-1][int(fpir * len(others))]
        missed = scores <= limit
        print(
            f"  at the score that {100 * fpir:g} % of the others exceed ({limit:.3f}): "
            f"FNIR {100 * missed.mean():.2f} %, {missed.sum()}"
        )
    ends = f"highest score of a stranger {others.max():.3f}, lowest of an enrolled"
    print(f"  {ends} {scores.min():.3f}", flush=True)


if __name__ == "__main__":
    main()
