"""The pass by which Module 1 aligns the pairs that Module 2 trains on."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ifvit.config import ModelConfig
from ifvit.geometry.transforms import apply, similarity
from ifvit.models.dense_reg import DenseRegModel
from ifvit.registration.aligner import Aligner


@pytest.fixture
def aligner(small: ModelConfig) -> Aligner:
    """An Aligner whose Module 1 is replaced by what each test says it answers."""
    return Aligner(DenseRegModel(small, rngs=nnx.Rngs(0)))


def starts(aligner: Aligner) -> np.ndarray:
    middle = (aligner.side - 1) / 2
    return np.stack([similarity(a, (middle, middle)) for a in (20.0, -35.0)]).astype(np.float32)


def frames(aligner: Aligner) -> jnp.ndarray:
    return jnp.zeros((2, aligner.side, aligner.side))


def shifted_cells(cells: int, columns: int) -> jnp.ndarray:
    """Every cell matches the one ``columns`` to its right, beyond doubt."""
    index = np.arange(cells**2)
    inside = index % cells + columns < cells
    log_p = np.full((cells**2, cells**2), -20.0, np.float32)
    log_p[index[inside], index[inside] + columns] = -0.01
    return jnp.asarray(log_p)


@pytest.mark.parametrize("columns", [0, 1])
def test_realign_adds_what_is_left_to_the_rough_alignment(
    aligner: Aligner, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    answer = jnp.stack([shifted_cells(aligner.config.cells, columns)] * 2)
    monkeypatch.setattr(aligner, "_pairs_log_p", lambda *_: answer)
    rough = starts(aligner)
    realigned = aligner.realign(frames(aligner), frames(aligner), jnp.asarray(rough))
    points = np.array([[40.0, 40.0], [80.0, 60.0]])
    cell_px = aligner.side / aligner.config.cells
    for before, after in zip(rough, realigned, strict=True):
        expected = apply(before, points + np.array([columns * cell_px, 0.0]))
        np.testing.assert_allclose(apply(after, points), expected, atol=0.5)


def test_a_pair_that_cannot_be_aligned_keeps_its_rough_alignment(
    aligner: Aligner, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = aligner.config.cells**2
    answer = jnp.full((2, tokens, tokens), -20.0)
    monkeypatch.setattr(aligner, "_pairs_log_p", lambda *_: answer)
    rough = starts(aligner)
    realigned = aligner.realign(frames(aligner), frames(aligner), jnp.asarray(rough))
    np.testing.assert_array_equal(realigned, rough)


def test_realign_runs_module_1_on_the_whole_batch(aligner: Aligner) -> None:
    rough = starts(aligner)
    realigned = aligner.realign(frames(aligner), frames(aligner), jnp.asarray(rough))
    # Blank frames have no foreground, so nothing can be realigned.
    np.testing.assert_array_equal(realigned, rough)
