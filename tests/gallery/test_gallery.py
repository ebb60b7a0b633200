"""What a gallery promises: who is enrolled is found, others are nobody, who is removed is gone."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from fake_matcher import FakeMatcher, print_array, print_bytes, write_prints

from ifvit.data.given import grey_values
from ifvit.gallery import rescore
from ifvit.gallery.enrolment import Entry
from ifvit.gallery.gallery import Gallery
from ifvit.gallery.rows import Row

KEY = bytes(range(32))


@pytest.fixture
def matcher() -> FakeMatcher:
    return FakeMatcher()


@pytest.fixture
def gallery(tmp_path, matcher) -> Gallery:
    """Thirty fingers with a print each, kept."""
    made = Gallery(tmp_path / "gallery", matcher, create=True)
    entries = [Entry(print_bytes(n, 1), f"person {n}", "right index", 500.0) for n in range(1, 31)]
    assert {one.state for one in made.enroll(entries, keep_prints=True)} == {"enrolled"}
    return made


def every_file(folder: str) -> list[Path]:
    return [Path(root) / name for root, _, names in os.walk(folder) for name in names]


def row_of(gallery: Gallery, subject: str) -> Row:
    (label,) = gallery.store.labels_at(gallery.store.find(subject))
    return next(gallery.store.rows([label["id"]]))[0]


def holds(folder: str, data: bytes) -> bool:
    return any(data in path.read_bytes() for path in every_file(folder))


def test_who_is_enrolled_is_found_with_rates_and_evidence(gallery) -> None:
    found = gallery.search(print_array(7, 2))
    first = found.candidates[0]
    assert (first.subject, first.finger, first.score) == ("person 7", "right index", 0.9)
    assert found.found == [first] and found.decided and found.size == 30
    assert first.fmr.value < first.fpir.value < 1e-3 and first.fmr.extrapolated
    assert first.result.num_matches == 3
    assert len(found.candidates) == 10 and found.candidates[1].map_score < first.map_score


def test_who_is_not_enrolled_is_nobody(gallery) -> None:
    found = gallery.search(print_array(99, 1))
    assert found.decided and found.found == [] and found.candidates
    assert found.candidates[0].score < found.threshold.value


def test_a_candidate_beyond_doubt_ends_the_search(gallery, matcher) -> None:
    before = matcher.pairs
    gallery.search(print_array(7, 2))
    assert matcher.pairs - before == 2
    gallery.search(print_array(7, 2), thorough=True)
    assert matcher.pairs - before == 2 + 20
    gallery.search(print_array(99, 2))
    assert matcher.pairs - before == 2 + 20 + 20


def test_a_finger_with_several_prints_is_one_candidate(gallery) -> None:
    gallery.enroll([print_array(7, n) for n in (3, 4)], "person 7", "right index", keep_prints=True)
    found = gallery.search(print_array(7, 2), thorough=True)
    assert [one.subject for one in found.candidates].count("person 7") == 1
    assert len(gallery) == 32


def test_an_empty_gallery_answers_nobody(tmp_path, matcher) -> None:
    empty = Gallery(tmp_path / "empty", matcher, create=True)
    found = empty.search(print_array(1))
    assert (found.candidates, found.found, found.size) == ([], [], 0)
    assert empty.enroll([]) == [] and empty.dedupe() == []


def test_the_same_print_again_is_told(gallery) -> None:
    (again,) = gallery.enroll([print_array(3, 1)], "person 3", "right index")
    assert again.state == "known" and "enrolled on 20" in again.reason
    (other,) = gallery.enroll([print_array(3, 1)], "somebody else")
    assert other.state == "refused" and "as that of person 3 right index" in other.reason
    twice = gallery.enroll([print_array(40), print_array(40)], "person 40")
    assert [one.state for one in twice] == ["enrolled", "known"] and len(gallery) == 31


def test_prints_that_cannot_be_read_are_named_and_others_enrolled(gallery, tmp_path) -> None:
    blank = np.full((96, 96), 255, np.uint8)
    made = gallery.enroll([blank, tmp_path / "none.png", print_array(41)])
    assert [one.state for one in made] == ["refused", "refused", "enrolled"]
    assert "no fingerprint found in print 0" in made[0].reason and "none.png" in made[1].reason


def test_a_low_quality_is_refused_unless_forced(gallery, matcher, monkeypatch) -> None:
    monkeypatch.setattr("ifvit.gallery.enroller.LOWEST_QUALITY", 60.0)
    own = matcher.coder.template
    monkeypatch.setattr(matcher.coder, "template", lambda one: own(one)._replace(quality=59.4))
    (refused,) = gallery.enroll([print_array(42)])
    assert "its quality is 59 of 100, below 60" in refused.reason
    assert refused.state == "refused" and "by force" in refused.reason
    (forced,) = gallery.enroll([print_array(42)], force=True)
    assert forced.state == "enrolled"


def test_without_prints_nothing_is_decided(tmp_path, matcher) -> None:
    made = Gallery(tmp_path / "g", matcher, create=True)
    made.enroll([print_array(n) for n in range(5)])
    found = made.search(print_array(3, 2))
    assert not found.decided and found.found == [] and found.candidates[0].score is None
    assert found.candidates[0].name == "print 3"
    claim = made.verify(found.candidates[0].id, print_array(3, 2))
    assert claim.results == [] and claim.accepted is None


def test_without_a_calibration_nothing_is_decided(tmp_path) -> None:
    made = Gallery(tmp_path / "g", FakeMatcher(calibrated=False), create=True)
    made.enroll([print_array(n) for n in range(5)], keep_prints=True)
    found = made.search(print_array(3, 2))
    assert found.candidates[0].score == 0.9 and not found.decided and found.found == []
    assert made.verify(found.candidates[0].id, print_array(3, 2)).accepted is None


def test_a_claim_is_accepted_or_not(gallery) -> None:
    assert gallery.verify("person 4", print_array(4, 2)).accepted is True
    assert gallery.verify("person 4", print_array(5, 2)).accepted is False
    with pytest.raises(ValueError, match="nobody in the gallery is called 'person 99'"):
        gallery.verify("person 99", print_array(5, 2))
    with pytest.raises(ValueError, match="'person 4', finger 'left thumb'"):
        gallery.verify("person 4", print_array(4, 2), finger="left thumb")


def test_removed_is_gone_and_purged_is_gone_from_the_disk(gallery) -> None:
    row = row_of(gallery, "person 4")
    index = row.template.index.tobytes()
    assert holds(gallery.path, index) and holds(gallery.path, row.image)
    assert gallery.remove(["person 4"]) == [row.id]
    assert len(gallery) == 29 and gallery.search(print_array(4, 2)).found == []
    assert holds(gallery.path, index), "an older version holds it"
    other = row_of(gallery, "person 5")
    gallery.remove([other.id], purge=True)
    for gone in (row, other):
        assert not holds(gallery.path, gone.template.index.tobytes())
        assert not holds(gallery.path, gone.image)
    assert gallery.search(print_array(6, 2)).found[0].subject == "person 6"


def test_nothing_is_removed_where_one_name_is_wrong(gallery) -> None:
    with pytest.raises(ValueError, match="'person x'"):
        gallery.remove(["person 4", "person x"])
    assert len(gallery) == 30


def test_files_are_their_owners_alone(gallery) -> None:
    gallery.search(print_array(1, 2))
    gallery.remove(["person 1"])
    gallery.compact()
    files = every_file(gallery.path)
    assert len(files) > 5
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700, path.parent


def test_the_log_says_who_and_holds_nothing_biometric(gallery) -> None:
    gallery.search(print_array(2, 2))
    gallery.verify("person 2", print_array(2, 2))
    gallery.remove(["person 2"], purge=True)
    lines = (Path(gallery.path) / "audit.jsonl").read_text().splitlines()
    actions = [json.loads(line) for line in lines]
    assert [one["action"] for one in actions] == ["enrolled", "searched", "verified", "removed"]
    assert actions[0]["prints_kept"] is True and "person 2" in actions[0]["subjects"]
    assert actions[3]["subjects"] == ["person 2"] and all(one["time"] for one in actions)
    assert max(map(len, lines)) < 30 * 60, "ids and names are short; a template is not"


def test_metadata_and_odd_names_come_back(gallery) -> None:
    entry = Entry(print_bytes(50), "O'Neil", "指", 500.0, "a\udcff.png", {"site": "x; DROP"})
    gallery.enroll([entry])
    label = gallery.labels().to_pylist()[-1]
    assert (label["subject"], label["finger"]) == ("O'Neil", "指")
    assert label["name"] == "a\\xff.png" and json.loads(label["metadata"]) == {"site": "x; DROP"}
    assert gallery.remove(["O'Neil"]) == [label["id"]]


def test_other_weights_are_an_error_that_names_the_way_out(gallery) -> None:
    other = Gallery(gallery.path, FakeMatcher(seed=1))
    for call in (
        lambda: other.search(print_array(1)),
        lambda: other.enroll([print_array(60)]),
        lambda: other.verify("person 1", print_array(1)),
        lambda: other.dedupe(),
    ):
        with pytest.raises(ValueError, match="run `ifvit gallery upgrade"):
            call()
    assert len(gallery) == 30


def test_an_upgrade_embeds_what_is_kept_and_goes_on_where_it_stopped(gallery, monkeypatch) -> None:
    gallery.enroll([print_array(70)], "kept nowhere")
    other = Gallery(gallery.path, FakeMatcher(seed=1))
    monkeypatch.setattr("ifvit.gallery.upgrade.COMMIT", 8)
    replace, calls = other.store.replace, []

    def stops(rows):
        calls.append(len(rows))
        if len(calls) == 3:
            raise OSError("stopped")
        replace(rows)

    monkeypatch.setattr(other.store, "replace", stops)
    with pytest.raises(OSError, match="stopped"):
        other.upgrade()
    monkeypatch.setattr(other.store, "replace", replace)
    done, without = other.upgrade()
    assert done == 30 - 16 and len(without) == 1
    other.remove(without)
    assert other.search(print_array(9, 2)).found[0].subject == "person 9" and len(other) == 30
    with pytest.raises(ValueError, match="other weights"):
        gallery.search(print_array(9, 2))


def test_kept_prints_that_are_refused_now_stop_nothing(
    gallery, matcher, caplog, monkeypatch
) -> None:
    extract = matcher.extract

    def refuses(given, ppi=None, name=""):
        if isinstance(given, bytes) and given == print_bytes(7, 1):
            raise ValueError("no print")
        return extract(given, ppi, name)

    def unreadable(given, name):
        refuses(given, 500, name)
        return grey_values(given, name)

    monkeypatch.setattr(rescore, "grey_values", unreadable)
    assert gallery.search(print_array(8, 2)).found[0].subject == "person 8"
    assert gallery.search(print_array(7, 2)).found == []
    assert "cannot be compared: no print" in caplog.text
    newer = FakeMatcher(seed=4)
    newer.extract = refuses
    done, without = Gallery(gallery.path, newer).upgrade()
    assert done == 29 and without == [row_of(gallery, "person 7").id]


def test_another_process_may_have_changed_it(gallery, matcher) -> None:
    gallery.search(print_array(1, 2))
    Gallery(gallery.path, matcher).enroll([print_array(80)], "new", keep_prints=True)
    assert gallery.search(print_array(80, 2)).found[0].subject == "new"
    Gallery(gallery.path, matcher).remove(["person 2"], purge=True)
    assert gallery.search(print_array(3, 2)).found[0].subject == "person 3"
    assert gallery.search(print_array(2, 2)).found == [] and len(gallery) == 30
    Gallery(gallery.path, matcher).remove(["person 3"], purge=True)
    assert gallery.verify("person 4", print_array(4, 2)).accepted and len(gallery.labels()) == 29


def test_a_backup_is_a_gallery(gallery, matcher, tmp_path) -> None:
    gallery.back_up(tmp_path / "copy")
    gallery.remove(["person 1"], purge=True)
    copy = Gallery(tmp_path / "copy", matcher)
    assert len(copy) == 30 and copy.search(print_array(1, 2)).found[0].subject == "person 1"
    with pytest.raises(ValueError, match="there already"):
        gallery.back_up(tmp_path / "copy")


def test_what_is_no_gallery_is_said(tmp_path, matcher) -> None:
    with pytest.raises(FileNotFoundError, match="is no gallery: expected one that `ifvit enroll"):
        Gallery(tmp_path, matcher)
    (tmp_path / "file.txt").write_text("x", encoding="utf-8")
    with pytest.raises(ValueError, match="is no gallery, and not empty"):
        Gallery(tmp_path, matcher, create=True)
    with pytest.raises(ValueError, match="a file"):
        Gallery(tmp_path / "file.txt", matcher, create=True)


def test_folders_are_read_by_their_layout(tmp_path, matcher) -> None:
    write_prints(tmp_path / "set", 3)
    made = Gallery(tmp_path / "g", matcher, create=True)
    assert len(made.enroll([tmp_path / "set"], keep_prints=True)) == 6
    assert sorted(set(made.labels()["subject"].to_pylist())) == ["set/1", "set/2", "set/3"]
