"""Prints at several resolutions: a pair's score is the pair's, whatever each was scanned at."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ifvit.cli import main
from ifvit.data.examples import example_prints
from ifvit.matcher import Matcher

RESOLUTIONS = (250, 500, 569, 1000)


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    return Matcher.from_pretrained()


def scanned(path: Path, ppi: int) -> np.ndarray:
    """Draw a print of 500 ppi as if scanned at another, by another filter than the package's."""
    with Image.open(path) as image:
        size = tuple(round(side * ppi / 500) for side in image.size)
        return np.asarray(image if ppi == 500 else image.resize(size, Image.Resampling.LANCZOS))


@pytest.mark.slow
@pytest.mark.parametrize("finger", [0, 1])
def test_a_pair_scores_alike_at_all_resolutions(matcher, finger):
    both = example_prints()[2 * finger : 2 * finger + 2]
    made = [{ppi: matcher.extract(scanned(p, ppi), ppi, "x") for ppi in RESOLUTIONS} for p in both]
    scores = [
        matcher.match(made[0][one], made[1][other]).score
        for one, other in itertools.product(RESOLUTIONS, repeat=2)
    ]
    assert min(scores) > 0.5
    assert max(scores) - min(scores) <= 0.03


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_tag_of_any_print_is_worth_one_warning(tmp_path, capsys, caplog, place):
    """Of the probe, and of each candidate, not of the first alone."""
    paths = []
    for number, path in enumerate(example_prints()):
        paths.append(tmp_path / f"{number}.png")
        shutil.copy(path, paths[-1])
        if number == place:
            with Image.open(path) as image:
                image.save(paths[-1], dpi=(1000, 1000))
    assert main(["match", *map(str, paths)]) == 0
    told = [r.getMessage() for r in caplog.records if "ppi" in r.getMessage()]
    assert [text.split(":")[0] for text in told] == [
        f"{place}.png says 1000 ppi and is read at 500"
    ]
