"""Commands without checkpoints use the weights that ship, and calibrate them in files apart."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import ifvit
from ifvit.cli import main
from ifvit.comparison.decision import DECISION, DECISION_FILE, Decision, save_decision
from ifvit.evaluation.resume import compared_sha256
from ifvit.evaluation.scores import ScoreRow, write_scores
from ifvit.files import sha256_of
from ifvit.matcher import Matcher
from ifvit.weights import pretrained
from ifvit.weights.pretrained import pretrained_files

RUN = {"mode": "pair", "enhancer": "gabor", "canvas": None}


@pytest.fixture
def folder(exported, tmp_path, monkeypatch):
    """Weights that ship, as a copy that a test may change."""
    shutil.copytree(exported, tmp_path / "shipped")
    monkeypatch.setattr(pretrained, "SHIPPED", tmp_path / "shipped")
    return tmp_path / "shipped"


@pytest.fixture
def prints(print_folder):
    return [str(print_folder / name) for name in ("1_1.png", "1_2.png")]


def complaint(capsys, *arguments: str) -> str:
    capsys.readouterr()
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    return captured.err


def commands(prints, root) -> dict[str, list[str]]:
    return {
        "match": ["match", *prints],
        "register": ["register", *prints],
        "embed": ["embed", *prints],
        "evaluate": ["evaluate", "--dataset-root", root],
        "identify": ["identify", "--dataset-root", root],
        "report": ["report", "scores.csv", "--dataset-root", root],
    }


@pytest.mark.parametrize(
    "command", ["match", "register", "embed", "evaluate", "identify", "report"]
)
def test_every_command_looks_for_the_weights_that_ship(
    command, capsys, folder, prints, print_folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    arguments = commands(prints, str(print_folder))[command]
    shutil.move(folder / "small", folder / "other")
    assert "no weights called 'small' ship with ifvit" in complaint(capsys, *arguments)
    if command != "register":  # which needs Module 1 alone
        line = complaint(capsys, *arguments, "--dense-ckpt", "x")
        assert "--dense-ckpt x is given without --matcher-ckpt" in line


def test_a_match_with_nothing_but_two_prints(capsys, folder, prints, tmp_path):
    """Three ways to say the same weights, and a calibration that comes from elsewhere."""
    assert main(["match", *prints, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert ifvit.match(*prints).to_json() == ifvit.match(*prints, **named(folder)).to_json()
    assert plain["fmr"] is None
    assert plain["score"] == ifvit.match(*prints).score
    other = tmp_path / "mine.json"
    save_decision(other, impostors_of(-1.0, 9))
    calibrated = ["match", *prints, "--calibration", str(other)]
    assert main([*calibrated, "--threshold", "0.1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["threshold"] == pytest.approx(-1.0)
    assert found["fmr"] == pytest.approx(0.1 if found["score"] > -1 else 1.0)
    assert found["score"] == plain["score"]
    assert "does not hold" in complaint(capsys, *calibrated, "--enhancer", "none")
    save_decision(other, Decision(dense_sha256="other").calibrated([-1.0], ""))
    assert "belongs to other weights" in complaint(capsys, *calibrated)
    assert "does not exist" in complaint(capsys, *calibrated[:-1], str(tmp_path / "none.json"))


def impostors_of(score: float, count: int) -> Decision:
    """Return the decision of the weights that ship, with so many impostors of one score."""
    matcher = Matcher.from_checkpoints()
    return matcher.decision.calibrated([score] * count, matcher.fingerprint)


def named(folder) -> dict[str, str]:
    dense, matcher = pretrained_files()
    assert dense.parent == folder / "small"
    return {"dense_ckpt": str(dense), "matcher_ckpt": str(matcher)}


def test_from_pretrained_is_the_same_weights_calibration_included(folder):
    save_decision(folder / "small" / DECISION_FILE, impostors_of(0.25, 1))
    matcher = ifvit.from_pretrained("small")
    assert isinstance(matcher, Matcher)
    assert matcher.decision.weights == tuple(sha256_of(path) for path in pretrained_files())
    assert matcher.decision.fingerprint == matcher.fingerprint
    np.testing.assert_array_equal(matcher.decision.impostor, [0.25])
    with pytest.raises(ValueError, match="one of small"):
        ifvit.from_pretrained("large")


def scores_of(folder) -> str:
    """Write a table with one impostor comparison, as an evaluation by these weights leaves it."""
    keys = ("dense_ckpt_sha256", "matcher_ckpt_sha256", "fingerprint")
    own = impostors_of(0.0, 1)
    known = dict(zip(keys, (*own.weights, own.fingerprint), strict=True)) | DECISION.record
    compared = {"comparisons": 1, "comparisons_sha256": compared_sha256([("a", "b", 0)])}
    compared |= {"root": "/prints", "version": ifvit.__version__}
    (folder / "run.json").write_text(json.dumps(RUN | known | compared))
    row = ScoreRow("a", "b", 0, 0.1, 0.1, 0.1, 0.125, 3, "ok", "1", "2")
    write_scores([row], folder / "scores.csv")
    return str(folder / "scores.csv")


def test_calibrate_writes_into_the_package_only_when_told_to(capsys, folder, tmp_path):
    before = sorted((folder / "small").iterdir())
    table = scores_of(tmp_path)
    assert "--out is not given" in complaint(capsys, "calibrate", table)
    mine = tmp_path / "mine.json"
    assert main(["calibrate", table, "--out", str(mine)]) == 0
    assert json.loads(mine.read_text())["impostor"] == [0.125]
    assert sorted((folder / "small").iterdir()) == before
    assert main(["calibrate", table, "--matcher-ckpt", named(folder)["matcher_ckpt"]]) == 0
    assert (folder / "small" / DECISION_FILE).read_bytes() == mine.read_bytes()


def test_release_prints_its_record(capsys, trained_pair, exported, tmp_path, unchecked):
    dense, matcher = map(str, trained_pair)
    out = str(tmp_path / "tried")
    arguments = ["release", "--dense-ckpt", dense, "--matcher-ckpt", matcher, "--out", out]
    assert main([*arguments, "--name", "small"]) == 0
    shown = capsys.readouterr().out
    record = (exported / "small/weights.json").read_text()
    assert all(value in shown for value in json.loads(record).values())
    assert (tmp_path / "tried/weights.json").read_text() == record
    assert "holds exported weights already" in complaint(capsys, *arguments)
