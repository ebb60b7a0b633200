"""From prints to answers with the weights that ship."""

from __future__ import annotations

import pytest

import ifvit
from ifvit.synthesis.dataset import DatasetSpec, write_dataset


@pytest.mark.slow
def test_synthetic_fingers_are_found_and_strangers_are_nobody(tmp_path) -> None:
    write_dataset(tmp_path / "prints", DatasetSpec(fingers=5, impressions=2, first_finger=40))
    first, second = (sorted((tmp_path / "prints").glob(f"*_{n}.png")) for n in (1, 2))
    gallery = ifvit.Gallery(tmp_path / "people", create=True)
    told = gallery.enroll(first[:4], keep_prints=True)
    assert [one.state for one in told] == ["enrolled"] * 4
    for own, probe in zip(first[:4], second[:4], strict=True):
        answer = gallery.search(probe, fpir=0.01)
        assert [one.name for one in answer.found] == [str(own)]
        assert answer.candidates[0].result.num_inliers > 20
    stranger = gallery.search(second[4], fpir=0.01)
    assert stranger.decided and stranger.found == []
    assert gallery.verify(told[0].id, second[0]).accepted is True
    assert gallery.verify(told[0].id, second[1]).accepted is False
