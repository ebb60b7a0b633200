"""An encrypted gallery: nothing biometric on the disk, and no other key opens it."""

from __future__ import annotations

import base64
import hashlib

import pytest
from fake_matcher import FakeMatcher, print_array, print_bytes
from test_gallery import holds

from ifvit.gallery.gallery import Gallery
from ifvit.gallery.sealing import KEY_VARIABLE, Sealer, read_key

KEY = bytes(range(32))


@pytest.fixture
def sealed(tmp_path) -> Gallery:
    made = Gallery(tmp_path / "g", FakeMatcher(), key=KEY, create=True)
    made.enroll([print_bytes(n) for n in range(1, 9)], keep_prints=True)
    return made


def test_nothing_biometric_is_readable_and_all_is_found(sealed) -> None:
    assert sealed.search(print_array(3, 2)).found[0].name == "print 2"
    row = next(sealed.store.rows())[0]
    for data in (row.template.index.tobytes(), row.template.cells.tobytes(), row.image):
        assert not holds(sealed.path, data)
    plain = Gallery(sealed.path + "_plain", FakeMatcher(), create=True)
    plain.enroll([print_bytes(1)], keep_prints=True)
    assert holds(plain.path, next(plain.store.rows())[0].template.cells.tobytes())


def test_ids_depend_on_the_key(sealed) -> None:
    features = FakeMatcher().extract(print_bytes(1))
    plain = hashlib.sha256(features.digest).hexdigest()[:24]
    assert plain not in sealed.labels()["id"].to_pylist()


@pytest.mark.parametrize(
    ("key", "said"), [(None, "is encrypted: give its key"), (KEY[::-1], "another key")]
)
def test_another_key_is_one_line(sealed, key, said) -> None:
    with pytest.raises(ValueError, match=said):
        Gallery(sealed.path, FakeMatcher(), key=key)


def test_a_key_for_a_gallery_that_is_not_encrypted_is_an_error(tmp_path) -> None:
    Gallery(tmp_path / "plain", FakeMatcher(), create=True)
    with pytest.raises(ValueError, match="is not encrypted"):
        Gallery(tmp_path / "plain", FakeMatcher(), key=KEY)


def test_values_cannot_be_moved_or_changed() -> None:
    sealer = Sealer(KEY)
    made = sealer.sealed(b"template", b"id index")
    assert sealer.opened(made, b"id index") == b"template"
    assert sealer.sealed(b"template", b"id index") != made, "a nonce of its own"
    for data, place in ((made, b"other index"), (made[:-1] + b"x", b"id index"), (b"", b"id")):
        with pytest.raises(ValueError, match="cannot be read"):
            sealer.opened(data, place)


def test_keys_are_read_in_each_form(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert read_key(None) is None
    forms = [KEY, KEY.hex().encode() + b"\n", base64.b64encode(KEY)]
    for form in forms:
        (tmp_path / "key").write_bytes(form)
        assert read_key(tmp_path / "key") == KEY
    monkeypatch.setenv(KEY_VARIABLE, KEY.hex())
    assert read_key(None) == KEY
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(ValueError, match="holds no key: expected a key of 32 bytes"):
        read_key(tmp_path / "key")
    with pytest.raises(FileNotFoundError, match="no such key file"):
        read_key(tmp_path / "none")


def test_an_encrypted_gallery_is_upgraded_checked_and_de_duplicated(sealed) -> None:
    other = Gallery(sealed.path, FakeMatcher(seed=2), key=KEY)
    assert other.upgrade() == (8, []) and other.store.damaged() == []
    assert other.search(print_array(5, 2)).found[0].name == "print 4"
    other.enroll([print_array(5, 7)], "again", keep_prints=True)
    (pair,) = other.dedupe()
    assert pair.score == 0.9
