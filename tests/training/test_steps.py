"""What the fine level of Module 1 is trained and measured by, on answers that are known."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ifvit.models.dense_reg import DenseOutput, DenseRegModel
from ifvit.models.fine_matching import FinePlaces
from ifvit.sources.truth import IGNORE, UNMATCHED, PairBatch
from ifvit.training.losses import fine_loss
from ifvit.training.steps import cell_hits, dense_losses

CELLS = 6
COUNT = CELLS**2
SHIFT = np.array([0.25, -0.5], np.float32)
"""Where each cell's centre lies, and what the fine level says: (column, row) in cells."""
MATCHED = COUNT - 2


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Let Module 1 choose, surely, cell i for cell i; but cell 3 for cell 0, and cell 8 for cell 7.

    Its fine level corrects each position by ``SHIFT``. What is yielded is whom it was shown.
    """
    chosen = np.arange(COUNT)
    chosen[0], chosen[7] = 3, 8
    log_p = np.full((1, COUNT, COUNT), -30.0, np.float32)
    log_p[0, np.arange(COUNT), chosen] = 0.0
    output = DenseOutput(jnp.asarray(log_p), *jnp.zeros((2, 1, COUNT, 3)))
    asked: list[np.ndarray] = []

    def refine(_self, _maps, _output, partner0):
        asked.append(np.asarray(partner0)[0])
        correction = jnp.broadcast_to(SHIFT, (1, COUNT, 2))
        return FinePlaces(correction, jnp.full((1, COUNT), 0.5))

    monkeypatch.setattr(DenseRegModel, "match_maps", lambda *_: output)
    monkeypatch.setattr(DenseRegModel, "refine", refine)
    return asked


@pytest.fixture
def model(micro) -> DenseRegModel:
    return nnx.view(DenseRegModel(micro, rngs=nnx.Rngs(0)), use_running_average=True)


@pytest.fixture
def batch() -> PairBatch:
    """One pair: cell i shows the centre of cell i; the last two have no match."""
    matches0 = np.arange(COUNT, dtype=np.int32)
    matches0[-2:] = IGNORE, UNMATCHED
    row, column = np.divmod(np.arange(COUNT), CELLS)
    places1 = np.stack([column, row], axis=-1)[None] + SHIFT
    blank, mask = jnp.zeros((1, 48, 48)), jnp.ones((1, CELLS, CELLS), bool)
    return PairBatch(
        *(blank, blank, mask, mask),
        matches0=jnp.asarray(matches0)[None],
        places1=jnp.asarray(places1, jnp.float32),
        genuine=jnp.ones(1, bool),
    )


@pytest.mark.heavy
def test_a_choice_that_is_far_off_is_replaced_by_the_truth(model, batch, shown) -> None:
    _, L_F = dense_losses(model, batch)
    assert shown[0][0] == 0 and shown[0][7] == 8
    # All are right then but cell 7, whose neighbour lies a column off.
    error = np.zeros((1, COUNT, 2), np.float32)
    error[0, 7, 0] = 1.0
    counted = np.arange(COUNT)[None] < MATCHED
    spread = np.full((1, COUNT), 0.5, np.float32)
    expected = fine_loss(*map(jnp.asarray, (error, spread, counted)))
    assert float(L_F) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.heavy
def test_places_of_cells_without_a_match_have_no_part(model, batch, shown) -> None:
    before = dense_losses(model, batch)[1]
    elsewhere = batch._replace(places1=batch.places1.at[0, MATCHED:].add(100.0))
    assert dense_losses(model, elsewhere)[1] == before
    assert len(shown) == 2


@pytest.mark.heavy
def test_hits_and_errors_are_counted_over_matched_cells(model, batch, shown) -> None:
    """All but two are found exactly, and all but one to within a cell; errors are pixels at 500
    ppi."""
    with jax.disable_jit():  # Programs that were compiled for other answers stay unused.
        counts = np.asarray(cell_hits(model, batch))
    np.testing.assert_allclose(counts[:3], [MATCHED, MATCHED - 2, MATCHED - 1])
    assert shown[0][0] == 3
    # Refined, all but cell 7 lie right; before, each is off by the shift.
    of_neighbour = np.hypot(1 - SHIFT[0], SHIFT[1])
    coarse = (MATCHED - 2) * np.hypot(*SHIFT) + of_neighbour
    np.testing.assert_allclose(counts[3:], [16.0, 16.0 * coarse], rtol=1e-3)
