"""What a match costs, stage by stage, and what a template and a comparison of two cost.

Usage: ``make bench``, or ``python benchmarks/pipeline.py --repeats 5``, by the weights that ship
with ifvit. Prints are two impressions of one synthetic finger, or two files. A match is both
preparations, if its prints are new, and the stages after them; a template is made of each print
besides. Times are of the wall, so that a busy machine shows in all of them.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from timing import measure, print_head

from ifvit.data.examples import example_prints
from ifvit.features.features import Features
from ifvit.gallery.template import Stage, Templates, template_scores
from ifvit.matcher import Matcher
from ifvit.registration.align import search_angles
from ifvit.registration.hypotheses import Hypotheses, rotations
from ifvit.registration.pairing import drawn_pair, in_order
from ifvit.registration.rectify import starts_of
from ifvit.registration.refine import refine
from ifvit.registration.turns import likely_turns

STAGES: dict[Stage, int] = {"index": 4000, "map": 500}
"""Templates on each side of a comparison in bulk."""


def bench_pair(matcher: Matcher, paths: list[Path], repeats: int) -> None:
    """Time the stages of a match of two prints that are prepared, and a match of two files."""
    aligner, prints = matcher.aligner, [matcher.extract(path) for path in paths]
    pair = drawn_pair(in_order(*prints, matcher.extractor), matcher.extractor)
    frames, ridges = (pair.frame0, pair.frame1), (pair.frame0.ridges, pair.frame1.ridges)
    settings = aligner.align_config

    def turns(_: int) -> np.ndarray:
        return likely_turns(*frames, search_angles(settings), settings.turns)

    def searched(_: int) -> Hypotheses:
        ways = rotations(turns(0), pair.frame0.image.shape[0])
        return aligner.search(pair, aligner.look(pair, ways), settings.followed)

    starts = starts_of(searched(0))

    def whole(_: int) -> float:
        return matcher.match(*paths).score

    def one_more(_: int) -> float:
        return matcher.match(prints[0], matcher.extract(paths[1])).score

    for name, call in {
        "rotations by the ridges' flow": turns,
        "whole search: Module 1 and RANSAC": searched,
        "whole refinement by the ridges": lambda _: refine(
            *ridges, starts, pair.config, aligner.refine_config
        ),
        "match, both prints prepared": lambda _: matcher.match(*prints),
        "match, one print prepared": one_more,
        "match of two files": whole,
    }.items():
        measure(f"{name}, canvas {pair.config.canvas}", "pair", 1, repeats, call)


def bench_prints(matcher: Matcher, paths: list[Path], repeats: int) -> None:
    """Time preparing a print, its template, and templates compared in bulk."""

    def prepared(index: int) -> Features:
        return matcher.extract(paths[index % 2])

    def drawn(index: int) -> np.ndarray:
        one = prepared(index)
        return matcher.extractor.at(one, matcher.extractor.fit(one)).ridges.image

    def embedded(index: int) -> np.ndarray:
        return matcher.coder.template(prepared(index)).index

    for name, call in {
        "print read and measured": prepared,
        "print read, measured, drawn and enhanced": drawn,
        "template, from the file": embedded,
    }.items():
        measure(name, "print", 1, repeats, call)
    one = matcher.coder.template(prepared(0))
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
    parser.add_argument("prints", type=Path, nargs="*", help="two files, at 500 ppi")
    parser.add_argument("--repeats", type=int, default=5, help="timed calls of each row")
    args = parser.parse_args()
    repeats = max(1, args.repeats)
    print_head(repeats)
    matcher = Matcher.from_pretrained()
    paths = args.prints or list(example_prints())[:2]
    bench_prints(matcher, paths, repeats)
    bench_pair(matcher, paths, repeats)


if __name__ == "__main__":
    main()
