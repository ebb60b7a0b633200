"""The script in docs/onnx.md, as it stands there, where neither ifvit nor JAX can be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from ifvit.export.dense_graph import backbone_graph, dense_graph
from ifvit.export.onnx_export import _tensors
from ifvit.runtime.graph_record import graph_file
from ifvit.weights.checkpoint import load_dense
from ifvit.weights.pretrained import pretrained_files

PAGE = Path(__file__).parents[2] / "docs" / "onnx.md"
ALONE = "import sys; sys.modules |= {'ifvit': None, 'jax': None, 'onnx': None}\n"
SHOW = "\ncells = np.flatnonzero(mutual); print(*(partner0[0, cells] - cells))"


@pytest.fixture
def script() -> str:
    return PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]


def write_prints(folder: Path) -> None:
    """Write two prints of one pattern, the second shown two cells lower and a cell further left."""
    folder.mkdir()
    y, x = np.mgrid[:352, :352] - 160.0
    bent = 2.5 * np.arctan2(y + 60, x - 20) + np.hypot(x, y + 10) / 9 * 2 * np.pi
    bent += 3 * np.sin(x / 50) * np.cos(y / 35)
    ridges = np.where(np.hypot(x / 0.8, y) < 130, 0.5 + 0.4 * np.cos(bent), 1.0)
    for name, shown in (("1_1", ridges), ("1_2", np.roll(ridges, (32, -16), (0, 1)))):
        cv2.imwrite(str(folder / f"{name}.png"), np.round(255 * shown).astype(np.uint8))


def test_the_script_runs_without_ifvit_and_finds_the_shift(script, tmp_path) -> None:
    """The Module 1 that ships; its graphs are not compared with JAX here, which takes long."""
    (tmp_path / "graphs").mkdir()
    model, _ = load_dense(pretrained_files().dense)
    for build in (backbone_graph, dense_graph):
        graph = build(_tensors(model), model.config)
        data = graph.model({}).SerializeToString()
        graph_file(tmp_path / "graphs", graph.name).write_bytes(data)
    write_prints(tmp_path / "prints")
    done = subprocess.run(
        [sys.executable, "-c", ALONE + script + SHOW], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    said, shown = done.stdout.splitlines()
    steps = np.array(shown.split(), int)
    assert said == f"{len(steps)} cells of print 0 match cells of print 1"
    # Two rows of 20 cells further down, one column to the left.
    assert len(steps) > 50 and np.mean(steps == 39) > 0.8


def test_it_is_as_long_as_is_promised(script) -> None:
    _, used, _ = script.split("\n\n")
    assert len(used.splitlines()) == 10
