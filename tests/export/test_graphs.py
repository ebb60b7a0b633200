"""The graphs compute what the models do in JAX: kinds of model, sizes, batches and masks."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
from flax import nnx

from ifvit.export.dense_graph import backbone_graph, dense_graph
from ifvit.export.graph import IR_VERSION, OPSET
from ifvit.export.onnx_export import _tensors
from ifvit.export.print_graphs import code_graph, pose_graph
from ifvit.models import DenseRegModel, MatcherModel

KINDS = {
    "loftr": {},
    "of the released weights": {"temp_bug_fix": False},
    "generic": {"use_loftr": False, "num_layers": 4},
}
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def runs(graph):
    """Return the graph as a function of its inputs by name."""
    data = graph.model({}).SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return lambda **feed: session.run(None, feed)


def compiled(call, model: nnx.Module, *given: np.ndarray):
    """Ask a model in one program: to compile each of its operations by itself takes longer."""
    return nnx.jit(call)(model, *map(jnp.asarray, given))


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def some(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) < 0.7


def test_the_backbone_on_canvases_of_any_size(two_models) -> None:
    dense, _ = two_models
    run = runs(backbone_graph(_tensors(dense), dense.config))
    for image in (normal(0, 1, 48, 48), normal(1, 3, 40, 64)):
        (found,) = run(image=image)
        expected = np.asarray(compiled(lambda model, image: model.ResNet18(image)[0], dense, image))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.heavy
def test_the_matches_of_two_maps_of_any_size(micro, stir, kind) -> None:
    """Sides that differ between the two maps; masks with holes, and one pair without any cell."""
    config = replace(micro, **KINDS[kind])
    model = stir(DenseRegModel(config, rngs=nnx.Rngs(2)), 2)
    run = runs(dense_graph(_tensors(model), config))
    (h0, w0), (h1, w1) = (5, 8), (7, 4)
    maps = normal(1, 3, h0, w0, config.d_model), normal(2, 3, h1, w1, config.d_model)
    masks = some(3, 3, h0, w0), some(4, 3, h1, w1)
    masks[0][1] = False
    found = run(features0=maps[0], features1=maps[1], mask0=masks[0], mask1=masks[1])
    made = compiled(lambda model, *given: model.cell_matches(*given), model, *maps, *masks)
    expected = map(np.asarray, made)
    partner0, confidence, position, partner1, spread = expected
    np.testing.assert_array_equal(found[0], partner0)
    np.testing.assert_allclose(found[1], confidence, **CLOSE)
    np.testing.assert_array_equal(found[3], partner1)
    clear = confidence > 1e-3
    assert clear.any() and (found[1][~masks[0].reshape(3, -1)] == 0).all()
    np.testing.assert_allclose(found[2][clear], position[clear], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found[4][clear], spread[clear], rtol=1e-3, atol=1e-4)


def prints_and_masks(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return five prints of this many cells: with holes, whole, in a corner, of one cell, empty."""
    masks = some(4, 5, height, width)
    masks[1] = True
    masks[2:] = False
    masks[2, -2:, : width // 2] = True
    masks[3, 0, -1] = True
    return normal(0, 5, 8 * height, 8 * width), masks


SIZES = {"trained": (6, 6), "other": (5, 9), "fewer cells than regions": (3, 2)}


@pytest.mark.parametrize("size", SIZES)
def test_the_poses_of_prints_of_any_size(two_models, size) -> None:
    """Dilations that reach beyond the canvas, and masks that grow beyond its edge."""
    _, model = two_models
    image, mask = prints_and_masks(*SIZES[size])
    expected = compiled(lambda model, *given: model.pose(*given), model, image, mask)
    run = runs(pose_graph(_tensors(model), model.config))
    for own, other in zip(run(image=image, mask=mask), expected, strict=True):
        # A place near 0 px is a difference of such as lie 800 px away, in single precision.
        digits = 1e-4 + 2e-6 * float(np.abs(other).max())
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=digits)


@pytest.fixture(scope="module")
def matcher_of(micro, stir):
    """Return what makes Module 2 of a kind, once."""

    @cache
    def make(kind: str) -> MatcherModel:
        return stir(MatcherModel(replace(micro, **KINDS[kind]), rngs=nnx.Rngs(3)), 3)

    return make


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.heavy
def test_the_codes_of_prints_of_any_size(matcher_of, kind, size) -> None:
    model = matcher_of(kind)
    image, mask = prints_and_masks(*SIZES[size])
    expected = compiled(lambda model, *given: model.encode(*given), model, image, mask)
    run = runs(code_graph(_tensors(model), model.config))
    cells, index = run(image=image, mask=mask)
    np.testing.assert_allclose(cells, expected.cells, **CLOSE)
    np.testing.assert_allclose(index, expected.index, **CLOSE)
    assert not cells[~mask].any() and np.allclose(np.linalg.norm(cells[mask], axis=-1), 1)


def test_the_format_is_stated_and_weights_are_stored_once(two_models) -> None:
    dense, _ = two_models
    model = dense_graph(_tensors(dense), dense.config).model({"licence": "Apache-2.0"})
    assert [(one.domain, one.version) for one in model.opset_import] == [("", OPSET)]
    assert model.ir_version == IR_VERSION
    assert model.metadata_props[0].value == "Apache-2.0"
    # Both prints go through one transformer; the head's scale alone is a second copy.
    used = [v for name, v in _tensors(dense).items() if not name.startswith("ResNet18")]
    stored = sum(int(np.prod(c.dims)) for c in model.graph.initializer)
    assert stored < 1.3 * sum(np.asarray(v).size for v in used)
