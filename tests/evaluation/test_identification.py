"""Identification on galleries small enough to rank by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ifvit.data.prints import Print
from ifvit.evaluation.identification import (
    characteristic,
    gallery_split,
    mate_ranks,
    shortlist_depth,
)

GALLERY = ("a", "b", "c")
SCORES = np.array([[0.9, 0.1, 0.2], [0.8, 0.5, 0.6], [0.3, 0.3, 0.3], [0.1, 0.2, 0.7]])
PROBES = ("a", "b", "c", "c")


def test_ranks_and_curve_by_hand() -> None:
    ranks = mate_ranks(SCORES, PROBES, GALLERY)
    # The third probe cannot tell anybody apart: its mate is last.
    np.testing.assert_array_equal(ranks, [1, 3, 3, 1])
    found = characteristic(ranks, len(GALLERY))
    assert found.cmc == [0.5, 0.5, 1.0]
    assert (found.gallery, found.probes) == (3, 4)


def test_a_shortlist_is_as_deep_as_its_share_needs() -> None:
    ranks = np.array([1, 1, 1, 7, 1, 2, 1, 1, 40, 1])
    depths = [shortlist_depth(ranks, share) for share in (0.1, 0.7, 0.8, 0.9, 0.91, 1.0)]
    assert depths == [1, 1, 2, 7, 40, 40]
    with pytest.raises(ValueError, match="expected at least one rank"):
        shortlist_depth(ranks[:0], 0.5)


def test_the_order_of_gallery_and_probes_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    scores = np.round(rng.random((12, 6)), 1)
    probes, gallery = list("abcdef" * 2), list("abcdef")
    first = mate_ranks(scores, probes, gallery)
    columns, rows = rng.permutation(6), rng.permutation(12)
    second = mate_ranks(
        scores[rows][:, columns], [probes[i] for i in rows], [gallery[i] for i in columns]
    )
    np.testing.assert_array_equal(first[rows], second)


def test_the_best_of_several_mates_counts() -> None:
    ranks = mate_ranks(np.array([[0.2, 0.5, 0.9]]), ["a"], ["a", "b", "a"])
    np.testing.assert_array_equal(ranks, [1])


def test_a_probe_without_a_mate_is_refused() -> None:
    with pytest.raises(ValueError, match="finger z is not in the gallery"):
        mate_ranks(np.zeros((1, 2)), ["z"], ["a", "b"])


def test_the_first_impression_of_each_finger_is_the_gallery() -> None:
    prints = [
        Print("set", finger, number, Path(f"{finger}_{number}.png"), 500)
        for finger, number in (("1", "1"), ("1", "2"), ("2", "1"), ("2", "3"), ("2", "4"))
    ]
    assert gallery_split(prints) == ([0, 2], [1, 3, 4])
    with pytest.raises(ValueError, match="expected at least two fingers"):
        gallery_split(prints[:2])
