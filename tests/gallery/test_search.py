"""The first stages against what they are by definition."""

from __future__ import annotations

import numpy as np
import pytest
from fake_matcher import FakeMatcher, print_array, template_of

from ifvit.comparison.print_similarity import template_similarity, unit_index
from ifvit.gallery.gallery import Gallery
from ifvit.gallery.rows import packed, unpacked
from ifvit.gallery.search import CACHED, Snapshot, best, index_scores, shortlist


def snapshot_of(index: np.ndarray) -> Snapshot:
    lengths = np.linalg.norm(index.astype(np.float32), axis=1).astype(np.float32)
    numbers = np.arange(len(index), dtype=np.uint64)
    return Snapshot(1, numbers, index, lengths)


@pytest.mark.parametrize("count", [1, CACHED - 1, CACHED, 3 * CACHED + 7])
def test_the_first_stage_is_the_cosine_with_every_print(count) -> None:
    index = np.random.default_rng(0).integers(-127, 128, (count, 16)).astype(np.int8)
    probe = template_of(1, 1)
    expected = unit_index(index) @ unit_index(probe.index[None])[0]
    np.testing.assert_allclose(index_scores(snapshot_of(index), probe), expected, atol=1e-5)


def test_the_best_are_the_best_and_ties_go_by_place() -> None:
    scores = np.array([0.5, 0.9, 0.5, 0.1, 0.9], np.float32)
    assert best(scores, 3).tolist() == [1, 4, 0]
    assert best(scores, 99).tolist() == [1, 4, 0, 2, 3]
    assert best(scores[:0], 3).tolist() == []


def test_the_second_stage_is_the_similarity_of_templates(tmp_path) -> None:
    gallery = Gallery(tmp_path / "g", FakeMatcher(), create=True)
    gallery.enroll([print_array(n) for n in range(12)])
    probe = template_of(5, 3)
    found = shortlist(gallery.store, gallery.snapshot(), probe)
    assert [one.map_score for one in found] == sorted((f.map_score for f in found), reverse=True)
    for one in found:
        (label,) = gallery.store.labels_at([one.number])
        finger = int(label["name"].removeprefix("print "))
        expected = template_similarity(probe, template_of(finger, 0))
        assert (one.map_score, one.index_score) == pytest.approx(expected, abs=1e-5)


def test_maps_come_back_from_their_bytes() -> None:
    template = template_of(3, 1)
    template.mask[1:3] = False
    template.cells[1:3] = 0
    again = unpacked(packed(template), template.index)
    for part in ("cells", "mask", "index"):
        np.testing.assert_array_equal(getattr(again, part), getattr(template, part))
    assert again[3:6] == template[3:6]  # quality is a column of its own
    for damaged in (b"", packed(template)[:-1], packed(template) + b"x"):
        with pytest.raises(ValueError, match="a dense map of"):
            unpacked(damaged, template.index)
