"""What a match costs, stage by stage, and what a template and a comparison of two cost.

Usage: ``make bench``, or ``python benchmarks/pipeline.py --preset tiny --repeats 5``; ``tiny`` is a
quarter of the width of ``paper``. The networks have random weights, which take as long as trained
ones; every stage is run all the same. Prints are two impressions of one synthetic finger. A match
is the two preparations, if its prints are new, and the three stages after them.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial

import jax.numpy as jnp
import numpy as np
from flax import nnx
from timing import measure, print_head

from ifvit.features.features import features_of
from ifvit.gallery.template import Stage, Templates, template_scores
from ifvit.geometry.grid import frame_side
from ifvit.matcher import Matcher
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherModel
from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS
from ifvit.registration.align import align_config_of, search_angles
from ifvit.registration.pairing import grouped
from ifvit.registration.rectify import starts_of
from ifvit.registration.refine import refine_pairs
from ifvit.sources.masters import grow_masters
from ifvit.synthesis import Master, draw_impression, finger_key, render

NEVER_REFUSE = {"min_confidence": 0.0, "min_inliers": 0}
"""Random weights align nothing; with these settings a match takes all its steps nevertheless."""

STAGES: dict[Stage, int] = {"index": 4000, "map": 500}
"""Templates on each side of a comparison in bulk."""


def make(preset: str) -> tuple[Matcher, list[np.ndarray]]:
    """Return a matcher of random weights, and two prints as grey canvases at 500 ppi."""
    dense = DenseRegModel(DENSE_PRESETS[preset].model, rngs=nnx.Rngs(0))
    config = MATCH_PRESETS[preset]
    search = replace(align_config_of(DENSE_PRESETS[preset]), **NEVER_REFUSE)
    matcher = Matcher(dense, MatcherModel(config.model, rngs=nnx.Rngs(1)), search)
    master = Master(*(jnp.asarray(array[0]) for array in grow_masters(0, np.arange(1))))
    shape = (frame_side(config.model),) * 2
    prints = [render(master, draw_impression(finger_key(0, 0), i), shape).image for i in (0, 1)]
    return matcher, [np.asarray(one) for one in prints]


def bench_pair(matcher: Matcher, prints: list[np.ndarray], pairs: int, repeats: int) -> None:
    """Time the stages of ``pairs`` matches in one call, and all of them together."""
    aligner = matcher.aligner
    prepared = [features_of(one) for one in prints]
    many = [(prepared[0], prepared[1])] * pairs
    (group,) = grouped(many, matcher.extractor)
    name = f"rotation search, Module 1 and RANSAC, {pairs} a call"
    turns, none = np.tile(search_angles()[:3], (pairs, 1)), np.zeros((pairs, 0, 2, 3))
    measure(name, "pair", pairs, repeats, lambda _: aligner.search(group, turns, none).H_0to1)
    found = aligner.search(group, turns, none)
    config = replace(matcher.config, canvas=group.canvas)
    starts = starts_of(found, aligner.centres(group.canvas))
    ridges = group.frames0.ridges, group.frames1.ridges
    settings = config, aligner.refine_config

    for name, call in {
        "refinement by the ridges": lambda _: refine_pairs(*ridges, starts, *settings),
        "match, prints prepared": lambda _: matcher.match_pairs(many)[0].score,
    }.items():
        measure(f"{name}, {pairs} a call", "pair", pairs, repeats, call)


def bench_templates(matcher: Matcher, prints: list[np.ndarray], repeats: int) -> None:
    """Time preparing a print, its template, and templates compared in bulk."""

    def prepared_and_drawn(index: int) -> np.ndarray:
        one = features_of(prints[index % 2])
        return matcher.extractor.at(one, matcher.extractor.fit(one)).ridges.image

    name = f"print of {prints[0].shape} px prepared and drawn, filter included"
    measure(name, "print", 1, repeats, prepared_and_drawn)

    def embedded(index: int) -> np.ndarray:
        return matcher.coder.template(features_of(prints[index % 2])).index

    measure("template of a print, measuring it included", "print", 1, repeats, embedded)
    one = matcher.coder.template(features_of(prints[0]))
    for stage, count in STAGES.items():
        cells, mask, index = (np.repeat(part[None], count, 0) for part in one[:3])
        gallery = Templates(("",) * count, cells, mask, index, "")
        millions = count * count / 1e6
        name = f"a million comparisons of templates, stage {stage}, {count}² a call"
        compare = partial(template_scores, gallery, gallery, stage)
        measure(name, "million", millions, repeats, lambda _, compare=compare: compare())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=sorted(DENSE_PRESETS), default="tiny")
    parser.add_argument("--pairs", type=int, default=1, help="pairs in one call")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls of each row")
    args = parser.parse_args()
    repeats = max(1, args.repeats)
    print(f"preset {args.preset}")
    print_head(repeats)
    matcher, prints = make(args.preset)
    bench_templates(matcher, prints, repeats)
    bench_pair(matcher, prints, args.pairs, repeats)


if __name__ == "__main__":
    main()
