"""Use tells nobody: ONNX Runtime's telemetry is off, and leaves nothing in a home directory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ifvit.weights.pretrained import pretrained_files

WATCHED = """
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print("told:", os.environ.get("ORT_DISABLE_TELEMETRY"))

sys.meta_path.insert(0, Watch())
from ifvit.runtime.onnx_runtime import OnnxEngine
OnnxEngine({folder!r})
"""
"""What ONNX Runtime is told is printed as its loading begins: later is too late."""


def started(home, **variables: str) -> tuple[str, list[str]]:
    """Load the engine in a process of its own; return what it printed, and left in its home."""
    home.mkdir()
    usual = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "HOME")}
    environment = usual | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")} | variables
    code = WATCHED.format(folder=str(pretrained_files().dense.parent))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), [path.name for path in home.rglob("*") if path.is_file()]


def test_telemetry_is_off_before_the_engine_loads_and_nothing_is_left(tmp_path):
    assert started(tmp_path / "home") == ("told: 1", [])


@pytest.mark.parametrize("wish", ["0", "1"])
def test_a_user_who_has_chosen_is_not_overruled(tmp_path, wish):
    # Whether an identifier is then written depends on the build and the network, and is not asked.
    assert started(tmp_path / "home", ORT_DISABLE_TELEMETRY=wish)[0] == f"told: {wish}"
