"""The minutiae of a match, as a record and in lines."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import ifvit
from ifvit.cli import main
from ifvit.minutiae.examined import Examined
from ifvit.minutiae.minutia_pairs import WITHIN_PX, MinutiaPairs
from ifvit.minutiae.minutiae import Minutiae

pytest.importorskip("skimage")


@pytest.fixture
def found() -> Examined:
    first = Minutiae(np.array([[10.0, 20.0], [30.0, 40.0]]), np.zeros(2), np.array([True, False]))
    second = Minutiae(np.array([[33.0, 44.0]]), np.array([np.pi / 2]), np.array([True]))
    return Examined(first, second, MinutiaPairs(np.array([1]), np.array([0]), np.array([2.346])))


def test_lines_number_the_pairs_with_type_place_and_residual(found):
    assert found.lines() == [
        "1 of 2 and 1 minutiae are paired",
        "1: ending at (30, 40), bifurcation at (33, 44), residual 2.3 px",
    ]


def test_the_record_holds_all_minutiae_and_their_pairs(found):
    made = json.loads(json.dumps(found.record()))
    assert made["pairs"] == [{"index0": 1, "index1": 0, "residual_px": 2.35}]
    assert made["print0"][0] == {"x": 10.0, "y": 20.0, "direction": 0.0, "type": "bifurcation"}
    assert made["print1"] == [{"x": 33.0, "y": 44.0, "direction": 90.0, "type": "bifurcation"}]


def test_the_command_lists_what_both_prints_show(capsys):
    prints = [str(path) for path in ifvit.example_prints()[:2]]
    assert main(["match", *prints, "--minutiae"]) == 0
    _, counted, *pairs = capsys.readouterr().out.splitlines()
    number = int(counted.split()[0])
    assert number >= 8 and counted.endswith("minutiae are paired")
    assert [line.split(":")[0] for line in pairs] == [str(n + 1) for n in range(number)]
    residuals = [float(line.split("residual ")[1].removesuffix(" px")) for line in pairs]
    assert max(residuals) <= WITHIN_PX and np.median(residuals) < 5


def test_the_command_says_what_to_install_before_weights_load(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.morphology", None)
    assert main(["match", "a.png", "b.png", "--minutiae"]) == 2
    captured = capsys.readouterr().err
    assert captured.count("\n") == 1 and "pip install 'ifvit[examiner]'" in captured
