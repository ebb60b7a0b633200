"""An evaluation killed at any moment: the same command goes on, and no row is lost."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_same_run import expected, made_set, run

from ifvit.evaluation.resume import SCORES_FILE

CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import test_same_run
score = test_same_run.Readable.score
def slowly(self, names, few):
    time.sleep(0.003)
    return score(self, names, few)
test_same_run.Readable.score = slowly
print("ready", flush=True)
while True:
    sys.stdin.readline()
    test_same_run.run(Path(sys.argv[1]), Path(sys.argv[2]))
    print("done", flush=True)
"""


def rows_of(out: Path) -> list[bytes]:
    path = out / SCORES_FILE
    return [line for line in path.read_bytes().splitlines(True) if line.endswith(b"\n")]


@pytest.mark.heavy
def test_an_evaluation_goes_on_after_any_kill(tmp_path):
    """Kills between two rows, within one, and in the middle of a rewriting."""
    root, draw = made_set(tmp_path / "set", 0, fingers=5), random.Random(0)
    out, acknowledged = tmp_path / "out", 0
    whole = expected(root, tmp_path / "whole")
    command = [sys.executable, "-c", CHILD, str(root), str(out), str(Path(__file__).parent)]
    for turn in range(8):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            child.stdin.write(b"\n")
            child.stdin.flush()
            time.sleep(draw.uniform(0.005, 0.12))
            child.kill()
        if (out / SCORES_FILE).exists():
            found = rows_of(out)
            assert len(found) >= acknowledged and whole.startswith(b"".join(found))
            acknowledged = len(found)
        if turn % 4 == 3:
            path = sorted(root.iterdir())[draw.randrange(10)]
            path.write_bytes(b"changed in turn %d" % turn)
            whole, acknowledged = expected(root, tmp_path / f"whole{turn}"), 0
            run(root, out, stop=0)  # rows of what has changed are compared anew, and first
    run(root, out)
    assert (out / SCORES_FILE).read_bytes() == whole
    assert not [p.name for p in out.iterdir() if p.name.endswith(".tmp")]
