"""Use tells nobody: ONNX Runtime's telemetry is off, and leaves nothing in a home directory."""

from __future__ import annotations

import os
import subprocess
import sys


def left_by(code: str, home, **variables: str) -> list[str]:
    """Run code in a process of its own, and return what it leaves in its home directory."""
    home.mkdir()
    usual = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "HOME")}
    environment = usual | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")} | variables
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    return [path.name for path in home.rglob("*") if path.is_file()]


def test_an_engine_leaves_nothing_in_the_home_directory(graphs, tmp_path):
    code = f"from ifvit.runtime.onnx_runtime import OnnxEngine; OnnxEngine({str(graphs)!r})"
    assert left_by(code, tmp_path / "off") == []
    # A user who wants it is not overruled; this is also what shows that the test can fail.
    import onnxruntime

    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) >= (1, 32):
        assert left_by(code, tmp_path / "on", ORT_DISABLE_TELEMETRY="0") != []
