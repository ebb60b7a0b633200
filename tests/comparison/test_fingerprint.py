"""No setting that decides a score is left out of the fingerprint."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import pytest

from ifvit import minutiae
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


def test_what_only_shows_a_decision_is_no_part_of_it() -> None:
    """No match imports these files, and their constants are not in the fingerprint."""
    script = "import sys, ifvit; m = ifvit.match(*ifvit.example_prints()[:2]); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names = [f"ifvit.minutiae.{one.name}" for one in iter_modules(minutiae.__path__)]
    assert "ifvit.registration.elastic" in ran.stdout.split()
    assert names and not set(names) & set(ran.stdout.split())
    for name in names:
        own = {key for key, value in vars(import_module(name)).items() if key.isupper()}
        elsewhere = {"STRIDE", "REFERENCE_PPI", "MIN_OVERLAP", "AGREES"}
        assert not (own - elsewhere) & set(constants()), name


def test_where_a_constant_stands_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    before = constants()
    monkeypatch.setattr(fingerprint, "MIN_OVERLAP", correlate.MIN_OVERLAP, raising=False)
    monkeypatch.setattr(fingerprint, "EXPLANATION", "a text", raising=False)
    constants.cache_clear()
    assert constants() == before
    constants.cache_clear()
