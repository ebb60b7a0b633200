"""No setting that decides a score is left out of the fingerprint."""

from __future__ import annotations

import pytest

from ifvit.comparison import fingerprint
from ifvit.comparison.fingerprint import constants, fingerprint_of
from ifvit.registration import correlate


def test_a_constant_of_the_method_is_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint_of({"a": 1})
    assert before == fingerprint_of({"a": 1}) != fingerprint_of({"a": 2})
    known = constants()
    for name in (
        "STRIDE",
        "REFERENCE_PPI",
        "MIN_OVERLAP",
        "AGREES",
        "WINDOW_PX",
        "WITHIN",
        "METHOD",
    ):
        assert name in known
    constants.cache_clear()
    monkeypatch.setattr(correlate, "MIN_OVERLAP", 0.09)
    assert fingerprint_of({"a": 1}) != before
    constants.cache_clear()


def test_where_a_constant_stands_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    before = constants()
    monkeypatch.setattr(fingerprint, "MIN_OVERLAP", correlate.MIN_OVERLAP, raising=False)
    monkeypatch.setattr(fingerprint, "EXPLANATION", "a text", raising=False)
    constants.cache_clear()
    assert constants() == before
    constants.cache_clear()
