"""Names of galleries, people and fingers, as keyboards, folders and systems write them."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from fake_matcher import FakeMatcher, print_bytes

from ifvit.gallery.enrolment import Entry
from ifvit.gallery.gallery import Gallery

NAMES = ["José", "Ångström", "Nguyễn Thị Ánh", "각", "がぎ", "Zoë O'Brien"]
FORMS = ["NFC", "NFD"]


@pytest.mark.parametrize("asked", FORMS)
@pytest.mark.parametrize("enrolled", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_one_in_both_of_unicodes_forms(tmp_path, name, enrolled, asked):
    """A keyboard writes é as one sign, and the folders of some systems as two."""
    written, called = (unicodedata.normalize(form, name) for form in (enrolled, asked))
    gallery = Gallery(tmp_path / "g", FakeMatcher(), create=True)
    first, second = (Entry(print_bytes(1, n), written, written, 500.0) for n in (1, 2))
    gallery.enroll([first], keep_prints=True)
    gallery.enroll([replace(second, subject=called, finger=called)], keep_prints=True)
    (state,) = {one.state for one in gallery.enroll([replace(first, subject=called)])}
    assert state == "known"
    assert len(set(gallery.labels()["subject"].to_pylist())) == 1
    assert len(gallery.verify(called, print_bytes(1, 3), finger=called).results) == 2
    assert len(gallery.remove([called])) == 2 and len(gallery) == 0


def test_rows_of_an_earlier_version_are_found_in_either_form(tmp_path, monkeypatch):
    gallery = Gallery(tmp_path / "g", FakeMatcher(), create=True)
    with monkeypatch.context() as before:
        before.setattr("ifvit.gallery.enroller.label_text", lambda text: text)
        for number, form in enumerate(FORMS, 1):
            whose = unicodedata.normalize(form, "José")
            gallery.enroll([Entry(print_bytes(number, 1), whose, "", 500.0)])
    assert len(set(gallery.labels()["subject"].to_pylist())) == 2
    for form in FORMS:
        assert len(gallery.store.find(unicodedata.normalize(form, "José"))) == 2


@pytest.mark.parametrize("name", ["g?x", "g?", "a\nb", "a\rb", "a\tb", "a\x1bb", "?/g"])
def test_names_that_the_engine_cuts_are_refused_and_nothing_is_made(tmp_path, name):
    with pytest.raises(ValueError, match="from which on the engine reads no name: rename it"):
        Gallery(tmp_path / name, FakeMatcher(), create=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["~g", "~", "g%20x", "g#1", "g'h", "C:g", "指 é", "-g", "$HOME"])
def test_all_other_names_are_names(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Gallery(name, FakeMatcher(), create=True)
    made.enroll([Entry(print_bytes(1, 1), "somebody", "", 500.0)])
    assert len(Gallery(name, FakeMatcher())) == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]
