"""What `ifvit export-onnx` writes, what it says of itself, and what it refuses to write."""

from __future__ import annotations

import json
import sys

import numpy as np
import onnx
import pytest
from flax import nnx

from ifvit.cli import main
from ifvit.export import onnx_export
from ifvit.export.onnx_export import export_onnx, graph_bytes
from ifvit.export.parity import (
    LIMITS,
    Differences,
    check_limits,
    differences,
    synthetic_frames,
)
from ifvit.files import sha256_of
from ifvit.runtime.onnx_runtime import OnnxEngine
from ifvit.weights import read_metadata
from ifvit.weights.pretrained import pretrained_files
from ifvit.weights.storage import MODULE_OF, graph_file


def test_graphs_that_name_what_they_came_from(trained_pair, graphs) -> None:
    assert sorted(path.name for path in graphs.iterdir()) == sorted(f"{n}.onnx" for n in MODULE_OF)
    for name, module in MODULE_OF.items():
        model = onnx.load(graph_file(graphs, name))
        found = {one.key: one.value for one in model.metadata_props}
        assert (found["graph"], found["module"]) == (name, module)
        assert found["dense_sha256"] == sha256_of(trained_pair[0])
        assert found["matcher_sha256"] == sha256_of(trained_pair[1])
        assert found["licence"] == "Apache-2.0" and found["version"][0].isdigit()
        source = read_metadata(trained_pair[module == "matcher"])
        assert json.loads(found["config"])["model"] == source.config["model"]
        assert str(trained_pair[0].parent) not in found["config"]


def test_the_licence_is_that_of_the_record_beside_the_weights(exported, unchecked, tmp_path):
    """The graphs of exported weights; a licence that is given comes first."""
    pair = [exported / "small" / f"{n}_ckpt.safetensors" for n in ("dense_reg", "matcher")]
    record = json.loads((exported / "small" / "weights.json").read_text())
    for path in pair:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "weights.json").write_text(json.dumps(record | {"licence": "CC-BY-4.0"}))
    copies = [tmp_path / path.name for path in pair]
    for given, expected in ((None, "CC-BY-4.0"), ("MIT", "MIT")):
        made = export_onnx(tmp_path / "out", *copies, licence=given)
        props = {one.key: one.value for one in onnx.load(made.paths[0]).metadata_props}
        assert props["licence"] == expected


def test_equal_checkpoints_give_equal_files(trained_pair, unchecked, graphs, tmp_path) -> None:
    export_onnx(tmp_path, *trained_pair)
    for path in graphs.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("graph", MODULE_OF)
def test_graphs_that_compute_something_else_are_refused(
    trained_pair, two_frames, expected_answers, tmp_path, monkeypatch, graph
) -> None:
    """A single layer whose weights are a hundredth off."""

    def wrong(dense, matcher, record):
        model = dense if record.module == "dense_reg" else matcher
        changed = nnx.clone(model)
        if record.graph == graph:
            place = {
                "backbone": lambda: changed.ResNet18.proj.kernel,
                "dense": lambda: changed.loftr_transformer.layers[1].v_proj.kernel,
                "pose": lambda: changed.PoseHead.convs[1].kernel,
                "code": lambda: changed.loftr_transformer_global.layers[1].v_proj.kernel,
            }[graph]()
            place[...] = place[...] + 0.01 * (np.arange(place.shape[-1]) % 2)
        if record.module == "dense_reg":
            return graph_bytes(changed, matcher, record)
        return graph_bytes(dense, changed, record)

    monkeypatch.setattr(onnx_export, "expected_of", lambda *_: expected_answers)
    monkeypatch.setattr(onnx_export, "graph_bytes", wrong)
    with pytest.raises(ValueError, match=r"do not compute what the checkpoints do: .*at most"):
        export_onnx(tmp_path / "out", *trained_pair, frames=two_frames)
    assert not (tmp_path / "out").exists()


def test_a_spread_that_is_off_is_beyond_the_limit(graphs, expected_answers, monkeypatch) -> None:
    """Registration weighs by it, and nothing else in the answer shows it."""
    engine = OnnxEngine(graphs)
    right = engine.dense
    check_limits(differences(engine, expected_answers))

    def wrong(*args):
        found = right(*args)
        return found._replace(spread0=found.spread0 * np.float32(1.01))

    monkeypatch.setattr(engine, "dense", wrong)
    found = differences(engine, expected_answers)
    assert found.spread == pytest.approx(0.01, abs=1e-3) and found.position < LIMITS.position
    with pytest.raises(ValueError, match=r"checkpoints do: spread 0\.01, at most 0\.0001;"):
        check_limits(found)


def test_what_is_no_number_is_beyond_every_limit() -> None:
    check_limits(LIMITS)
    none = Differences(*[0] * 9)
    with pytest.raises(ValueError, match=r"features nan, at most 0\.0001; nothing was written"):
        check_limits(none.largest(none._replace(features=float("nan"))))


def test_without_the_package_onnx_the_error_names_the_extra(
    trained_pair, unchecked, tmp_path, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "ifvit.export.dense_graph", None)
    with pytest.raises(ValueError, match=r"pip install 'ifvit\[train\]'"):
        export_onnx(tmp_path / "out", *trained_pair)
    assert not (tmp_path / "out").exists()


def test_the_command_says_how_far_the_graphs_are_from_jax(
    trained_pair, unchecked, tmp_path, capsys
) -> None:
    dense, matcher = map(str, trained_pair)
    flags = ["--dense-ckpt", dense, "--matcher-ckpt", matcher]
    assert main(["export-onnx", str(tmp_path / "graphs"), *flags]) == 0
    shown = capsys.readouterr().out
    files = [f"{name}.onnx" for name in MODULE_OF]
    assert all(name in shown for name in (*LIMITS._fields, "1e-06", *files))
    assert main(["export-onnx", str(tmp_path / "graphs"), "--dense-ckpt", dense]) == 2
    assert "is given without --matcher-ckpt" in capsys.readouterr().err


@pytest.mark.slow
def test_the_weights_that_ship_compute_the_same_on_synthetic_prints(tmp_path, capsys) -> None:
    """Without anything in place of something else: canvases of 160 and 320 pixels."""
    assert main(["export-onnx", str(tmp_path / "graphs")]) == 0
    assert "0.0001" in capsys.readouterr().out
    OnnxEngine(tmp_path / "graphs", *pretrained_files())
    frames = synthetic_frames(OnnxEngine(tmp_path / "graphs").config)
    assert frames.shape == (2, 640, 640) and np.ptp(frames[0]) > 0.3
    assert np.abs(frames[0] - frames[1]).max() > 0.1
