"""The synthetic source: the same batch at every call, and ground truth that follows the maps."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.geometry.grid import cell_centres
from ifvit.sources.dense_synthetic import Ease, SyntheticPairs, draw_pairs
from ifvit.sources.masters import grow_masters, take
from ifvit.sources.truth import UNMATCHED, pair_correspondence

ROTATION = 30.0
SIZE = 6


@pytest.fixture(scope="module")
def source(masters, micro):
    return SyntheticPairs(
        0, np.arange(4), masters, micro, max_rotation=ROTATION, impostor_ratio=0.5
    )


def same(batch0, batch1) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(batch0, batch1, strict=True))


@pytest.mark.heavy
def test_a_batch_is_a_function_of_seed_and_index(source, masters, micro):
    batch = source.batch(3, SIZE)
    assert batch.image0.shape == (SIZE, 48, 48) and batch.matches0.shape == (SIZE, 36)
    again = SyntheticPairs(
        0, np.arange(4), masters, micro, max_rotation=ROTATION, impostor_ratio=0.5
    )
    again.batch(0, SIZE)
    assert same(batch, again.batch(3, SIZE))
    assert not same(batch, source.batch(4, SIZE))
    other = SyntheticPairs(
        1, np.arange(4), masters, micro, max_rotation=ROTATION, impostor_ratio=0.5
    )
    assert not np.array_equal(source.draw(3, SIZE)[1], other.draw(3, SIZE)[1])


def test_draw_pairs_different_fingers_as_impostors(source):
    rows, impressions, genuine = source.draw(0, 400)
    np.testing.assert_array_equal(rows[:, 0] == rows[:, 1], genuine)
    assert 0.4 < genuine.mean() < 0.6
    assert rows.min() >= 0 and rows.max() < 4 and impressions.min() >= 0


@pytest.mark.heavy
def test_impostor_pairs_have_no_match(source):
    batch = source.batch(0, SIZE)
    genuine = np.asarray(batch.genuine)
    assert 0 < genuine.sum() < SIZE
    assert (np.asarray(batch.matches0)[~genuine] < 0).all()
    assert (np.asarray(batch.matches0)[~genuine] == UNMATCHED).any()
    assert (np.asarray(batch.matches0)[genuine] >= 0).any()


@pytest.mark.heavy
def test_matches_agree_with_the_exact_correspondence(source, micro):
    """A matched cell's centre lies in the cell that it is matched with: half a cell at most."""
    centres = np.asarray(cell_centres(micro))
    seen = 0
    for index in range(3):
        batch = source.batch(index, SIZE)
        rows, impressions, genuine = source.draw(index, SIZE)
        params = draw_pairs(0, jnp.asarray(rows), jnp.asarray(impressions), ROTATION)
        exact = jax.jit(jax.vmap(partial(pair_correspondence, model=micro)))(*params)
        for pair in np.flatnonzero(genuine):
            points1, valid = (np.asarray(part[pair]) for part in exact[:2])
            found = np.asarray(batch.matches0[pair])
            matched = found >= 0
            apart = np.abs(points1[matched] - centres[found[matched]])
            assert (apart <= 8.01).all()  # half a cell of 16 pixels at 500 ppi
            assert valid[matched].all() and not valid[found == UNMATCHED].any()
            seen += matched.sum()
    assert seen > 50


@pytest.mark.heavy
def test_prints_are_turned_by_no_more_than_asked():
    fingers, impressions = jnp.zeros((64, 2), int), jnp.arange(128).reshape(64, 2)
    params0, params1 = draw_pairs(0, fingers, impressions, ROTATION)
    turned = np.rad2deg(np.abs(np.asarray(params0.rotation - params1.rotation)))
    assert 0.5 * ROTATION < turned.max() <= ROTATION


def test_both_prints_are_turned_together():
    fingers, impressions = jnp.zeros((64, 2), int), jnp.arange(128).reshape(64, 2)
    params0, params1 = draw_pairs(0, fingers, impressions, ROTATION, turn=180.0)
    angle = np.rad2deg(np.asarray(params0.turn))
    np.testing.assert_array_equal(params0.turn, params1.turn)
    assert angle.min() < -120 and angle.max() > 120 and np.abs(angle).max() <= 180
    upright, _ = draw_pairs(0, fingers, impressions, ROTATION)
    assert (np.asarray(upright.turn) == 0).all()
    np.testing.assert_array_equal(upright.rotation, params0.rotation)


def test_grow_masters_equals_make_masters(masters, few_masters_per_call):
    """In calls of four, the last one filled up, into host memory."""
    fingers = np.array([2, 0, 3, 1, 1])
    calls = []
    grown = grow_masters(0, fingers, lambda items: calls.extend(items) or items)
    assert len(calls) == 2
    for own, made in zip(grown, take(masters, fingers), strict=True):
        assert isinstance(own, np.ndarray)
        np.testing.assert_array_equal(own, made)


@pytest.mark.heavy
def test_hard_prints_and_zoom_are_drawn_for_the_pair():
    fingers, impressions = jnp.zeros((64, 2), int), jnp.arange(128).reshape(64, 2)
    draw = partial(draw_pairs, 0, fingers, impressions, ROTATION)
    plain, (params0, params1) = draw(), draw(hard=0.5, zoom=(0.9, 1.35))
    for one in plain:
        assert one.force is None and one.conditions is None and (one.zoom == 1).all()
    np.testing.assert_array_equal(params0.zoom, params1.zoom)
    assert 0.899 < params0.zoom.min() < 0.97 and 1.25 < params0.zoom.max() < 1.351
    forced = np.concatenate([p.force.firmness > 0 for p in (params0, params1)])
    assert 0.25 < forced.mean() < 0.55  # of the hard half, four in five
    again, _ = draw(zoom=(0.9, 1.35))
    np.testing.assert_array_equal(again.zoom, params0.zoom)


@pytest.mark.heavy
def test_a_batch_of_hard_prints_has_exact_matches(masters, micro):
    """Matched cells agree with the exact correspondence of the very same hard prints."""
    how = {"max_rotation": ROTATION, "impostor_ratio": 0.0, "hard": 1.0, "zoom": (0.8, 1.2)}
    hard = SyntheticPairs(0, np.arange(4), masters, micro, **how)
    batch = hard.batch(0, SIZE)
    rows, impressions, _ = hard.draw(0, SIZE)
    params = draw_pairs(
        0, jnp.asarray(rows), jnp.asarray(impressions), ROTATION, hard=1.0, zoom=(0.8, 1.2)
    )
    exact = jax.jit(jax.vmap(partial(pair_correspondence, model=micro)))(*params)
    centres, found = np.asarray(cell_centres(micro)), np.asarray(batch.matches0)
    matched = found >= 0
    assert matched.sum() > 20
    apart = np.abs(np.asarray(exact[0]) - centres[np.maximum(found, 0)])
    assert (apart[matched] <= 8.01).all()
    weak = Ease(1.0, 0.5).of(params[0])
    np.testing.assert_allclose(weak.force.pull, params[0].force.pull / 2)
