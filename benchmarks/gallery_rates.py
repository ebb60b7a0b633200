"""How often a gallery finds who is enrolled, and somebody for who is not.

Usage: ``python benchmarks/gallery_rates.py FOLDER… --background 200 --probes 3``. Of the fingers of
each data set every second one is enrolled, its first print, among so many synthetic fingers; the
next prints of all are the probes. Reported are, by ISO/IEC 19795-1, the rank-1 identification rate
of enrolled fingers after each stage, and FNIR and FPIR at the threshold that a search uses for an
FPIR, as they came out.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from pathlib import Path

import numpy as np

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


def main() -> None:
    """Enrol, search, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("roots", nargs="+")
    parser.add_argument("--background", type=int, default=200)
    parser.add_argument("--probes", type=int, default=3)
    parser.add_argument("--folder", default="")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        gallery = Gallery(folder / "gallery", create=True)
        if options.background and not (folder / "background").exists():
            spec = DatasetSpec(fingers=options.background, impressions=1)
            write_dataset(folder / "background", spec)
            gallery.enroll([folder / "background"], keep_prints=True)
        enrolled, mated, strangers = divided(options.roots, options.probes)
        listed = [Entry(p.path, subject(p), "", float(p.ppi), str(p.path)) for p in enrolled]
        gallery.enroll(listed, keep_prints=True)
        report(gallery, mated, strangers)


def report(gallery: Gallery, mated: list[Print], strangers: list[Print]) -> None:
    """Search for every probe, and print the rates."""
    right, scores = np.zeros((len(mated), 3), bool), []
    for number, item in enumerate(mated):
        found = gallery.search(item.path, ppi=item.ppi, top=len(gallery), fpir=0.01).candidates
        orders = (
            max(found, key=lambda one: one.index_score),
            max(found, key=lambda one: one.map_score),
            found[0],
        )
        right[number] = [one.subject == subject(item) for one in orders]
        own = [one.score for one in found if one.subject == subject(item)]
        scores.append(own[0] if own and own[0] is not None else -1.0)
    others = [
        gallery.search(item.path, ppi=item.ppi, fpir=0.01).candidates[0].score or -1.0
        for item in strangers
    ]
    size, rates = len(gallery), OpenSet(gallery.matcher.decision)
    print(
        f"gallery of {size} prints; {len(mated)} probes of enrolled fingers, {len(others)} others"
    )
    for stage, rate in zip(("index", "maps", "pairs"), right.mean(axis=0), strict=True):
        print(f"rank 1 after {stage:<6} {100 * rate:6.2f} %")
    for fpir in FPIRS:
        limit = rates.threshold(fpir, size)
        if limit is None:
            continue
        fnir, seen = (
            np.mean(np.array(scores) < limit.value),
            np.mean(np.array(others) >= limit.value),
        )
        print(
            f"at FPIR {100 * fpir:g} % (score from {limit.value:.3f}): FNIR {100 * fnir:.2f} %, "
            f"FPIR as it came out {100 * seen:.2f} %"
        )
    print(f"highest score of a stranger {max(others):.3f}, lowest of an enrolled {min(scores):.3f}")


if __name__ == "__main__":
    main()
