"""Use without JAX: a match, templates, a fork; and what a command says that needs more."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
from PIL import Image

import ifvit
from ifvit.commands.match import _called

WITHOUT_JAX = """
import sys
for name in ("jax", "flax", "optax", "orbax", "onnx"):
    sys.modules[name] = None  # an import of it is a ModuleNotFoundError
"""


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_JAX + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_prints_are_matched_registered_and_embedded_without_jax(tmp_path) -> None:
    done = run(
        "from ifvit.cli import main\n"
        "first, second, other, out = sys.argv[1:]\n"
        "assert main(['match', first, second, '--threshold', '0.01']) == 0\n"
        "rejected = ['match', first, other, '--threshold', '0.01', '--out', out + '/m.png']\n"
        "assert main(rejected) == 0\n"
        "assert main(['register', first, second, '--out', out + '/r']) == 0\n"
        "assert main(['embed', first, second, '--out', out + '/t.npz']) == 0\n",
        *ifvit.example_prints()[:3],
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(" at ")[0] for line in lines if " at FMR" in line] == [
        "accepted",
        "rejected",
    ]
    assert (tmp_path / "m.png").exists() and (tmp_path / "t.npz").exists()


def test_files_of_one_name_are_called_by_their_paths() -> None:
    assert _called(["a/1.png", "b/2.png"]) == ["1.png", "2.png"]
    assert _called(["a/1.png", "b/1.png", "b/2.png"]) == ["a/1.png", "b/1.png", "2.png"]


def test_one_print_is_matched_with_several_the_best_first(tmp_path) -> None:
    first, second, other, _ = ifvit.example_prints()
    Image.fromarray(np.full((200, 200), 255, np.uint8)).save(tmp_path / "blank.png")
    named = [other, tmp_path / "blank.png", second]
    command = "from ifvit.cli import main; sys.exit(main(sys.argv[1:]))"
    done = run(command, "match", first, *named, "--threshold", "0.01")
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    assert [line.split(" ")[0] for line in lines] == [
        "1_2.png:",
        "accepted",
        "2_1.png:",
        "rejected",
    ]
    told = done.stderr.splitlines()
    assert "no fingerprint found" in told[0] and "1 of 3 candidates" in told[1]
    done = run(command, "match", first, other, second, "--json")
    assert done.returncode == 0, done.stderr
    scores = [json.loads(line)["score"] for line in done.stdout.splitlines()]
    assert len(scores) == 2 and scores[0] > 0.5 > scores[1]


def test_a_command_that_needs_the_extra_says_so(tmp_path) -> None:
    for command in (["synth", "--out", tmp_path / "made"], ["train-dense"], ["demo"]):
        done = run("from ifvit.cli import main; sys.exit(main(sys.argv[1:]))", *command)
        assert done.returncode == 2 and done.stdout == ""
        assert "pip install 'ifvit[train]'" in done.stderr and done.stderr.count("\n") == 1


def test_pictures_need_no_matplotlib_but_what_does_says_so(tmp_path) -> None:
    command = (
        "sys.modules['matplotlib'] = None\nfrom ifvit.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    first, second, *_ = ifvit.example_prints()
    done = run(command, "match", first, second, "--out", tmp_path / "match.png")
    assert done.returncode == 0 and (tmp_path / "match.png").exists(), done.stderr
    done = run(command, "register", first, second, "--out", tmp_path / "registered")
    assert done.returncode == 0 and (tmp_path / "registered" / "field.png").exists(), done.stderr
    for words in (["match", first, second, "--stages", tmp_path], ["report", "scores.csv"]):
        done = run(command, *words)
        assert done.returncode == 2 and done.stdout == ""
        assert "pip install 'ifvit[plots]'" in done.stderr and done.stderr.count("\n") == 1


def test_a_process_that_is_forked_after_a_match_can_match() -> None:
    done = run(
        "import os, signal, ifvit\n"
        "first, second, other, _ = ifvit.example_prints()\n"
        "expected = ifvit.match(first, second).score\n"
        "if os.fork() == 0:\n"
        "    signal.alarm(120)\n"  # a hang would end in a signal
        "    again, impostor = ifvit.match(first, second), ifvit.match(first, other)\n"
        "    assert again.score == expected > impostor.score\n"
        "    os._exit(0)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))\n"
    )
    assert done.returncode == 0, done.stderr
