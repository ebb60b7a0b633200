"""What surrounds a command or a program: terminals, folders that are gone, NumPy's settings."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from ifvit.cli import NARROWEST, main
from ifvit.data.examples import example_prints
from ifvit.matcher import Matcher
from ifvit.registered_pair import register


def test_help_ends_on_the_narrowest_terminal():
    """In a process of its own: what lays it out would need all memory there is, for ever."""
    for verb in ("match", "gallery"):
        done = subprocess.run(
            [sys.executable, "-m", "ifvit", verb, "--help"],
            env={"COLUMNS": "1", "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            timeout=120,
        )
        assert done.returncode == 0 and b"usage: ifvit" in done.stdout, done.stderr


@pytest.mark.parametrize("columns", ["", "0", "1", "9", "39", "40", "x", "-5", "500"])
def test_no_line_is_narrower_than_it_can_be(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    for arguments in (["match", "--help"], ["match"], ["match", "--no-such-option"]):
        with pytest.raises(SystemExit):
            main(arguments)
        said = capsys.readouterr()
        longest = max(map(len, (said.out + said.err).splitlines()))
        assert longest >= min(NARROWEST, 30)

    assert os.environ["COLUMNS"] == columns


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "x"],
        ["match", "a.png", "b.png"],
        ["embed", str(example_prints()[0])],
        ["evaluate", "--dataset-root", "prints"],
        ["synth", "--out", "x", "--fingers", "1"],
        ["enroll", "g", str(example_prints()[0])],
        ["list", "g"],
    ],
    ids=lambda given: given[0],
)
@pytest.mark.heavy
def test_a_working_folder_that_is_gone_is_said_to_be(arguments, tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(arguments) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "ifvit: error: the folder that this command was started in is gone: " + (
        "start it in another"
    )


def test_a_program_may_have_numpy_raise_errors_of_its_own():
    """Filters fall to zero at their ends, which is an underflow."""
    first, second, third, _ = example_prints()
    matcher = Matcher.from_pretrained()

    def results() -> list[float]:
        many = matcher.match_many(first, [second, third])
        pairs = matcher.match_pairs([(matcher.extract(first), matcher.extract(second))])
        templates = matcher.embed([first])
        return [
            *(one.score for one in (matcher.match(first, second), *many, *pairs)),
            register(first, second).alignment.num_inliers,
            *templates[0].index[:4],
        ]

    usual = results()
    with np.errstate(all="raise"):
        assert results() == usual
        assert np.geterr()["under"] == "raise"
