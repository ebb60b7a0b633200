"""Both engines by one interface: equal answers and complaints; which graphs belong together."""

from __future__ import annotations

import copy
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from ifvit.config import MatchConfig
from ifvit.export import onnx_export
from ifvit.export.parity import Differences
from ifvit.models import MatcherModel
from ifvit.models.coarse_matching import cell_matches, log_dual_softmax, mutual_matches
from ifvit.runtime import onnx_runtime
from ifvit.runtime.calls import CellMatches, CellPoses, CodedPrints
from ifvit.runtime.jax_runtime import JaxEngine
from ifvit.runtime.onnx_runtime import OnnxEngine
from ifvit.weights import Metadata, read_metadata, save_weights
from ifvit.weights.storage import MATCHER_FILE


@pytest.fixture(scope="module")
def engines(trained_pair, graphs) -> tuple[OnnxEngine, JaxEngine]:
    return OnnxEngine(graphs, *trained_pair), JaxEngine.from_checkpoints(*trained_pair)


@pytest.fixture
def other_matcher(trained_pair, micro, tmp_path) -> Path:
    """Another Module 2 of the same Module 1."""
    path = tmp_path / "other" / MATCHER_FILE
    lineage = read_metadata(trained_pair[1]).lineage
    meta = Metadata.of(MatchConfig(model=micro), lineage=lineage)
    save_weights(path, MatcherModel(micro, rngs=nnx.Rngs(5)), meta)
    return path


def test_one_interface_and_the_same_answers(engines, micro) -> None:
    image = np.random.default_rng(1).normal(size=(2, 48, 64)).astype(np.float32)
    mask = np.ones((2, 6, 8), bool)
    answers = []
    for engine in engines:
        assert engine.config == micro
        features = engine.backbone(image)
        assert features.shape == (2, 6, 8, micro.d_model)
        matches = engine.dense(features, features[::-1].copy(), mask, mask)
        assert isinstance(matches, CellMatches)
        poses, codes = engine.pose(image, mask), engine.code(image, mask)
        assert isinstance(poses, CellPoses) and isinstance(codes, CodedPrints)
        answers.append((features, matches.confidence0, matches.spread0, *poses, *codes))
        assert matches.partner0.dtype == matches.partner1.dtype == np.int32
    for own, other in zip(*answers, strict=True):
        assert type(own) is type(other) is np.ndarray and own.dtype == np.float32
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5)


def test_mutual_matches_are_those_of_the_whole_matrix() -> None:
    log_p = log_dual_softmax(5 * jax.random.normal(jax.random.key(0), (2, 12, 15)))
    made = map(np.asarray, cell_matches(log_p, 5))
    found = CellMatches(*made, spread0=np.zeros((2, 12), np.float32)).mutual(0.05)
    expected, _ = mutual_matches(log_p, 0.05)
    assert found.dtype == np.int32 and (found >= 0).any() and (found == -1).any()
    np.testing.assert_array_equal(found, expected)


def test_shapes_that_do_not_fit_are_told_alike(engines, micro) -> None:
    maps, mask = np.zeros((1, 6, 6, micro.d_model), np.float32), np.ones((1, 6, 6), bool)
    for engine in engines:
        with pytest.raises(ValueError, match=r"\(1, 50, 48\).*multiples of 8"):
            engine.backbone(np.zeros((1, 50, 48), np.float32))
        with pytest.raises(ValueError, match=r"mask of shape \(1, 3, 3\).*\(1, 6, 6\)"):
            engine.dense(maps, maps, mask, np.ones((1, 3, 3), bool))
        for call in (engine.pose, engine.code):
            with pytest.raises(ValueError, match=r"\(1, 50, 48\).*multiples of 8"):
                call(np.zeros((1, 50, 48), np.float32), mask)
            # One that NumPy would stretch over the cells is refused too.
            with pytest.raises(ValueError, match=r"mask of shape \(1, 1, 1\).*\(1, 6, 6\)"):
                call(np.zeros((1, 48, 48), np.float32), mask[:, :1, :1])


def test_a_checkpoint_that_the_graphs_did_not_come_from(trained_pair, graphs, other_matcher):
    with pytest.raises(ValueError, match=r"were not exported from .* give the checkpoint"):
        OnnxEngine(graphs, trained_pair[0], other_matcher)
    with pytest.raises(ValueError, match="were not exported from"):
        OnnxEngine(graphs, dense_ckpt=other_matcher)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        OnnxEngine(graphs, dense_ckpt=graphs / "no.safetensors")


def test_graphs_of_two_exports(trained_pair, graphs, other_matcher, tmp_path, monkeypatch) -> None:
    mixed = tmp_path / "mixed"
    monkeypatch.setattr(onnx_export, "expected_of", lambda *_: None)
    monkeypatch.setattr(onnx_export, "differences", lambda *_: Differences(*[0] * 9))
    onnx_export.export_onnx(mixed, trained_pair[0], other_matcher, frames=np.zeros((2, 9, 9)))
    OnnxEngine(mixed)
    shutil.copy(graphs / "code.onnx", mixed)
    with pytest.raises(ValueError, match="do not belong together: matcher_sha256 is"):
        OnnxEngine(mixed)


def test_files_that_are_missing_damaged_renamed_or_strange(graphs, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"backbone\.onnx.*`ifvit export-onnx` writes"):
        OnnxEngine(tmp_path)
    own = shutil.copytree(graphs, tmp_path / "own")
    whole = (own / "dense.onnx").read_bytes()
    (own / "dense.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"dense\.onnx is not a graph that ONNX Runtime"):
        OnnxEngine(own)
    shutil.copy(own / "code.onnx", own / "dense.onnx")
    with pytest.raises(ValueError, match="holds the graph 'code', expected 'dense'"):
        OnnxEngine(own)
    import onnx

    strange = onnx.load(graphs / "dense.onnx")
    del strange.metadata_props[:]
    onnx.save(strange, own / "dense.onnx")
    with pytest.raises(ValueError, match="is no graph of ifvit: its metadata lack graph"):
        OnnxEngine(own)


@pytest.mark.parametrize("config", ["{}", "[", '{"model": {"colour": 1, "backbone_widths": []}}'])
def test_settings_of_another_version(graphs, config) -> None:
    record = OnnxEngine(graphs).records["dense"]
    with pytest.raises(ValueError, match=r"dense\.onnx was written by another version of ifvit"):
        replace(record, config=config).model_config()


@pytest.mark.parametrize(("graph", "lacks"), [("dense", "spread0"), ("pose", "up")])
def test_a_graph_that_gives_other_arrays_is_refused_when_it_is_loaded(
    graphs, tmp_path, graph, lacks
) -> None:
    """As the version before wrote it: record, module and checkpoints are the right ones."""
    import onnx

    own = shutil.copytree(graphs, tmp_path / "own")
    model = onnx.load(own / f"{graph}.onnx")
    (output,) = (one for one in model.graph.output if one.name == lacks)
    model.graph.output.remove(output)
    onnx.save(model, own / f"{graph}.onnx")
    said = rf"own.{graph}\.onnx was written by another version of ifvit .*export-onnx.*{lacks}"
    with pytest.raises(ValueError, match=said) as caught:
        OnnxEngine(own)
    assert "\n" not in str(caught.value)


def test_without_onnx_runtime_the_error_names_it(graphs, monkeypatch) -> None:
    monkeypatch.setattr(onnx_runtime, "onnxruntime", None)
    with pytest.raises(ValueError, match="pip install onnxruntime"):
        OnnxEngine(graphs)


def test_threads_share_an_engine(engines, micro) -> None:
    image = np.random.default_rng(2).normal(size=(8, 1, 48, 48)).astype(np.float32)
    expected = [engines[0].backbone(one) for one in image]
    with ThreadPoolExecutor(4) as pool:
        for own, other in zip(pool.map(engines[0].backbone, image), expected, strict=True):
            np.testing.assert_array_equal(own, other)


def test_use_loads_neither_jax_nor_what_writes_graphs(graphs) -> None:
    code = (
        "import sys, numpy as np\n"
        "from ifvit.runtime.onnx_runtime import OnnxEngine\n"
        f"engine = OnnxEngine({str(graphs)!r}, threads=1)\n"
        "assert engine.backbone(np.zeros((1, 48, 48))).shape[:3] == (1, 6, 6)\n"
        "heavy = {'jax', 'flax', 'onnx', 'cv2', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps])
def test_loaded_weights_are_not_sent_and_say_so(engines, place, way):
    with pytest.raises(TypeError, match="load them there"):
        way(engines[place])
