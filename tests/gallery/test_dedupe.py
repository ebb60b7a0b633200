"""Who is enrolled twice is found, with a score, and an interrupted search for them goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_matcher import FakeMatcher, print_array

from ifvit.gallery import dedupe
from ifvit.gallery.gallery import Gallery


@pytest.fixture
def gallery(tmp_path) -> Gallery:
    """Forty fingers of forty people, of whom two are there under another name too."""
    made = Gallery(tmp_path / "g", FakeMatcher(), create=True)
    for finger in range(1, 41):
        made.enroll([print_array(finger, 1)], f"person {finger}", keep_prints=True)
    made.enroll([print_array(3, 2)], "alias of 3", keep_prints=True)
    made.enroll([print_array(9, 2)], "alias of 9", keep_prints=True)
    made.enroll([print_array(5, 2)], "person 5", keep_prints=True)
    return made


def pairs(gallery: Gallery, found: list[dedupe.Double]) -> set[frozenset[str]]:
    whose = {one["id"]: one["subject"] for one in gallery.labels().to_pylist()}
    return {frozenset((whose[one.id0], whose[one.id1])) for one in found}


TWICE = {frozenset(("person 3", "alias of 3")), frozenset(("person 9", "alias of 9"))}


@pytest.mark.parametrize("stripe", [7, 8192])
def test_aliases_are_found_and_prints_of_one_person_are_none(gallery, monkeypatch, stripe) -> None:
    monkeypatch.setattr(dedupe, "STRIPE", stripe)
    found = gallery.dedupe()
    assert pairs(gallery, found) == TWICE and all(one.score == 0.9 for one in found)
    assert gallery.match(found[0].id0, found[0].id1).score == 0.9
    assert not (Path(gallery.path) / dedupe.STATE_FILE).exists()


def test_it_goes_on_after_a_stop(gallery, monkeypatch) -> None:
    monkeypatch.setattr(dedupe, "BLOCK", 8)
    neighbours, blocks = dedupe.neighbours, []

    def stops(held, places, codes):
        blocks.append(int(places[0]))
        if len(blocks) == 4:
            raise KeyboardInterrupt
        return neighbours(held, places, codes)

    monkeypatch.setattr(dedupe, "neighbours", stops)
    with pytest.raises(KeyboardInterrupt):
        gallery.dedupe()
    assert pairs(gallery, gallery.dedupe()) == TWICE
    assert blocks == [0, 8, 16, 24, 24, 32, 40]


def test_what_was_done_counts_no_more_once_the_gallery_has_changed(gallery, monkeypatch) -> None:
    monkeypatch.setattr(dedupe, "BLOCK", 8)
    save, stopped = dedupe._State.save, []

    def stops(self, done):
        save(self, done)
        if done == 16 and not stopped:
            stopped.append(done)
            raise KeyboardInterrupt

    monkeypatch.setattr(dedupe._State, "save", stops)
    with pytest.raises(KeyboardInterrupt):
        gallery.dedupe()
    gallery.enroll([print_array(1, 2)], "alias of 1", keep_prints=True)
    assert pairs(gallery, gallery.dedupe()) == TWICE | {frozenset(("person 1", "alias of 1"))}


def test_without_prints_like_maps_are_told_without_a_score(tmp_path) -> None:
    made = Gallery(tmp_path / "g", FakeMatcher(), create=True)
    for name in ("one", "two"):
        made.enroll([print_array(3, len(name) + ord(name[0]))], name)
    (found,) = made.dedupe()
    assert found.score is None and found.map_score > 0.5
    with pytest.raises(ValueError, match="are not both kept"):
        made.match(found.id0, found.id1)
