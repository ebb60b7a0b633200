"""The script in docs/onnx.md, as it stands there, where neither ifvit nor JAX can be imported."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from flax import nnx

from ifvit.export.dense_graph import backbone_graph, dense_graph
from ifvit.export.onnx_export import _tensors
from ifvit.export.print_graphs import code_graph, pose_graph
from ifvit.models import MatcherModel
from ifvit.runtime.graph_record import graph_file
from ifvit.weights.checkpoint import load_dense
from ifvit.weights.pretrained import pretrained_files

PAGE = Path(__file__).parents[2] / "docs" / "onnx.md"
ALONE = "import sys; sys.modules |= {'ifvit': None, 'jax': None, 'onnx': None}\n"
SHOW = "\ncells = np.flatnonzero(mutual); print(*(partner0[0, cells] - cells))"


@pytest.fixture
def scripts() -> list[str]:
    """Return Module 1's lines, and Module 2's, which go on from them."""
    parts = PAGE.read_text(encoding="utf-8").split("```python\n")[1:]
    return [part.split("```")[0] for part in parts]


def write_graphs(folder: Path, model: nnx.Module, *builds: Callable) -> None:
    """Write graphs without the comparison with JAX, which takes long."""
    folder.mkdir(exist_ok=True)
    for build in builds:
        graph = build(_tensors(model), model.config)
        graph_file(folder, graph.name).write_bytes(graph.model({}).SerializeToString())


def said_by(script: str, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", ALONE + script], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two prints, and the graphs of the Module 1 that ships."""
    write_prints(tmp_path / "prints")
    model, _ = load_dense(pretrained_files().dense)
    write_graphs(tmp_path / "graphs", model, backbone_graph, dense_graph)
    return tmp_path


def write_prints(folder: Path) -> None:
    """Write two prints of one pattern, the second shown two cells lower and a cell further left."""
    folder.mkdir()
    y, x = np.mgrid[:352, :352] - 160.0
    bent = 2.5 * np.arctan2(y + 60, x - 20) + np.hypot(x, y + 10) / 9 * 2 * np.pi
    bent += 3 * np.sin(x / 50) * np.cos(y / 35)
    ridges = np.where(np.hypot(x / 0.8, y) < 130, 0.5 + 0.4 * np.cos(bent), 1.0)
    for name, shown in (("1_1", ridges), ("1_2", np.roll(ridges, (32, -16), (0, 1)))):
        cv2.imwrite(str(folder / f"{name}.png"), np.round(255 * shown).astype(np.uint8))


def test_the_script_runs_without_ifvit_and_finds_the_shift(scripts, folder) -> None:
    said, shown = said_by(scripts[0] + SHOW, folder)
    steps = np.array(shown.split(), int)
    assert said == f"{len(steps)} cells of print 0 match cells of print 1"
    # Two rows of 20 cells further down, one column to the left.
    assert len(steps) > 50 and np.mean(steps == 39) > 0.8


def test_module_2_after_that(scripts, folder, micro) -> None:
    """Random weights, to which a print is as like as can be to itself."""
    model = MatcherModel(micro, rngs=nnx.Rngs(0))
    write_graphs(folder / "graphs", model, pose_graph, code_graph)
    (folder / "prints" / "1_2.png").write_bytes((folder / "prints" / "1_1.png").read_bytes())
    _, said = said_by("".join(scripts), folder)
    found = re.fullmatch(r"dense maps (\S+), index vectors (\S+), of 1", said)
    assert found and 0.8 < float(found[1]) < 1 and float(found[2]) == 1


def test_it_is_as_long_as_is_promised(scripts) -> None:
    _, used, _ = scripts[0].split("\n\n")
    assert len(used.splitlines()) == 10
