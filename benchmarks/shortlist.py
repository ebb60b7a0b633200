"""How deep a shortlist must be: the true finger's rank in a large gallery, stage by stage.

Usage: ``python benchmarks/shortlist.py TEMPLATES.npz [TEMPLATES.npz …]``, files of ``ifvit embed``,
whose prints are named FINGER_IMPRESSION. The first print of each finger is enrolled, those of all
files in one gallery; all others are probes, a line for each file and stage.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ifvit.evaluation.identification import mate_ranks, shortlist_depth
from ifvit.gallery.template import Templates, load_templates, template_scores

AT_ONCE = 250
"""Probes whose maps are compared in one call."""

FIRST = 20
"""Length of the shortlist that is asked for."""

BY_INDEX = 200
"""Of the gallery, looked at by their maps after the index has put them in order."""


def finger_of(name: str) -> str:
    """Return whose print it is: the folder, and what stands before the last underline."""
    path = Path(name)
    return f"{path.parent}/{path.stem.rpartition('_')[0]}"


def chosen(templates: Templates, numbers: list[int]) -> Templates:
    """Return some of the templates, called by their fingers."""
    parts = (getattr(templates, part)[numbers] for part in ("cells", "mask", "index"))
    names = tuple(finger_of(templates.names[number]) for number in numbers)
    return Templates(names, *parts, templates.matcher_sha256)


def split(templates: Templates) -> tuple[list[int], list[int]]:
    """Return the numbers of each finger's first print, and of the others."""
    seen: set[str] = set()
    first, others = [], []
    for number, name in enumerate(templates.names):
        finger = finger_of(name)
        (others if finger in seen else first).append(number)
        seen.add(finger)
    return first, others


def joined(parts: list[Templates]) -> Templates:
    """Return all templates as one gallery."""
    arrays = (
        np.concatenate([getattr(p, part) for p in parts]) for part in ("cells", "mask", "index")
    )
    return Templates(tuple(n for p in parts for n in p.names), *arrays, parts[0].matcher_sha256)


def scores(probes: Templates, gallery: Templates) -> dict[str, np.ndarray]:
    """Return each stage's scores (P, G): index, map, and maps of those that the index chose."""
    index = template_scores(probes, gallery, "index")
    numbers = list(range(len(probes)))
    some = [numbers[start : start + AT_ONCE] for start in range(0, len(numbers), AT_ONCE)]
    maps = np.concatenate([template_scores(chosen(probes, few), gallery, "map") for few in some])
    limit = np.sort(index, axis=1)[:, -min(BY_INDEX, len(gallery))][:, None]
    # What the index left out comes after all that it chose, in its own order.
    both = np.where(index >= limit, maps, index - 4)
    return {"index": index, "map": maps, f"index, map of {BY_INDEX}": both}


def main() -> None:
    """Print a line for each file and stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("templates", nargs="+")
    args = parser.parse_args()
    read = [load_templates(path) for path in args.templates]
    halves = [split(templates) for templates in read]
    gallery = joined([chosen(t, first) for t, (first, _) in zip(read, halves, strict=True)])
    print(f"gallery of {len(gallery)} fingers")
    head = f"{'probes of':<20} {'number':>6} {'stage':<20} {'rank 1':>8} {'first 20':>8}"
    print(f"{head} {'98 %':>6} {'99 %':>6}")
    for path, templates, (_, others) in zip(args.templates, read, halves, strict=True):
        probes = chosen(templates, others)
        for stage, found in scores(probes, gallery).items():
            ranks = mate_ranks(found, probes.names, gallery.names)
            depths = [shortlist_depth(ranks, share) for share in (0.98, 0.99)]
            within = [100 * float((ranks <= rank).mean()) for rank in (1, FIRST)]
            print(
                f"{Path(path).stem:<20} {len(probes):>6} {stage:<20} {within[0]:>7.2f}% "
                f"{within[1]:>7.2f}% {depths[0]:>6} {depths[1]:>6}"
            )


if __name__ == "__main__":
    main()
