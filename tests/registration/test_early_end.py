"""A pair costs what it needs: what is clear ends early, and what is hopeless."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ifvit.data.examples import example_prints
from ifvit.features.features import Features
from ifvit.matcher import Matcher
from ifvit.registration import refine


@pytest.fixture(scope="module")
def prints() -> list[Features]:
    """Two impressions of one finger, then two of another."""
    matcher = Matcher.from_pretrained()
    return [matcher.extract(path) for path in example_prints()]


@pytest.fixture
def asked(monkeypatch) -> tuple[Matcher, list[int], list[str]]:
    """Return a matcher, how many ways each of Module 1's looks is at, and the ridges' steps."""
    matcher, looks, steps = Matcher.from_pretrained(), [], []
    look = matcher.aligner.look

    def counted(pair, H_0to1, *rest):
        looks.append(len(H_0to1))
        return look(pair, H_0to1, *rest)

    def told(name):
        step = getattr(refine._Steps, name)
        monkeypatch.setattr(
            refine._Steps, name, lambda *given: (steps.append(name), step(*given))[1]
        )

    monkeypatch.setattr(matcher.aligner, "look", counted)
    for name in ("rough", "straighten", "finish"):
        told(name)
    return matcher, looks, steps


def test_a_clear_pair_is_looked_at_in_one_way(asked, prints):
    matcher, looks, steps = asked
    found = matcher.match(*prints[:2])
    assert looks == [1, 1]
    assert steps.count("finish") == steps.count("straighten") == 1
    # All that could be looked at gives about the same score, and the same place.
    never = {"clear": np.inf, "clear_again": np.inf}
    matcher.aligner.align_config = replace(matcher.aligner.align_config, **never)
    whole = matcher.match(*prints[:2])
    assert looks[2:] == [1, 2, 1, 1]
    assert abs(whole.score - found.score) < 0.05
    points = found.alignment.points0
    away = np.linalg.norm(whole.alignment.place(points) - found.alignment.place(points), axis=1)
    assert np.median(away) < 3


def test_where_the_ridges_do_not_bear_a_clear_hypothesis_out_all_is_searched(asked, prints):
    matcher, looks, steps = asked
    matcher.aligner.align_config = replace(matcher.aligner.align_config, clear_ncc=1.1)
    assert matcher.match(*prints[:2]).score > 0.6
    # The hint, again; the turns, again; the best of all, again and a third time; that, again.
    assert looks == [1, 1, 2, 1, 1, 1, 1]
    assert steps.count("finish") >= 2


def test_of_a_hopeless_pair_no_place_is_followed(asked, prints):
    matcher, looks, steps = asked
    aligner = matcher.aligner
    aligner.refine_config = replace(aligner.refine_config, hopeless=2.0)
    short = matcher.match(prints[0], prints[2])
    assert looks == [1, 2, 1] and steps == ["rough"]
    steps.clear()
    aligner.refine_config = replace(aligner.refine_config, hopeless=-1.0)
    whole = matcher.match(prints[0], prints[2])
    assert {"rough", "straighten", "finish"} == set(steps)
    assert max(short.score, whole.score) < 0.35


def test_a_pair_of_which_module_1_sees_little_is_not_seen_again(asked, prints):
    matcher, looks, _ = asked
    aligner = matcher.aligner
    aligner.align_config = replace(aligner.align_config, faint=0.0)
    again = matcher.match(prints[0], prints[2])
    aligner.align_config = replace(aligner.align_config, faint=np.inf)
    once = matcher.match(prints[0], prints[2])
    assert looks == [1, 2, 1, 1, 2]
    assert max(once.score, again.score) < 0.35


@pytest.mark.parametrize("pair", [(0, 1), (0, 2)])
def test_a_pair_that_ends_early_is_as_symmetric(prints, pair):
    first, second = (prints[place] for place in pair)
    matcher = Matcher.from_pretrained()
    assert matcher.match(first, second).score == matcher.match(second, first).score
