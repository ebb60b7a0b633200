"""Shifts chosen together: exact on chains; a block that cannot tell follows its neighbours."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from ifvit.registration.joint import JointConfig, chosen_together

EXACT = JointConfig(rounds=20, damping=0.0)


def energy(ncc: np.ndarray, shifts: list[tuple[int, int]], settings: JointConfig) -> float:
    """What is minimised, of a chain of cells: by its definition."""
    cost = -sum(ncc[row, column, 0, i] for i, (row, column) in enumerate(shifts))
    for (r0, c0), (r1, c1) in pairwise(shifts):
        apart = min((r0 - r1) ** 2 + (c0 - c1) ** 2, settings.break_at**2)
        cost += settings.stiffness * apart
    return float(cost)


def choice(ncc: np.ndarray, settings: JointConfig) -> np.ndarray:
    """The chosen shifts as (row, column), for each cell of the grid."""
    row, column = chosen_together(ncc.astype(np.float32), settings)
    return np.stack([row, column], axis=-1)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("along", ["a row", "a column"])
def test_on_a_chain_it_is_what_trying_everything_finds(seed, along):
    ncc = np.random.default_rng(seed).uniform(0, 0.4, (3, 3, 1, 4))
    settings = JointConfig(stiffness=0.05, break_at=2, rounds=20, damping=0.0)
    places = list(product(range(3), range(3)))
    best = min(product(places, repeat=4), key=lambda one: energy(ncc, list(one), settings))
    found = choice(ncc if along == "a row" else ncc.swapaxes(2, 3), settings)
    assert [tuple(map(int, shift)) for shift in found.reshape(-1, 2)] == list(best)


def test_a_block_that_could_lie_on_two_ridges_lies_as_its_neighbours_do():
    ncc = np.zeros((7, 7, 5, 5))
    ncc[3, 4] = 0.8
    ncc[3, 4, 2, 2], ncc[3, 0, 2, 2] = 0.75, 0.8  # the middle one likes the next ridge better
    assert int(ncc[..., 2, 2].argmax()) == 3 * 7 + 0
    assert (choice(ncc, JointConfig()) == [3, 4]).all()


def test_a_block_that_says_nothing_follows_those_around():
    ncc = np.zeros((5, 5, 6, 6))
    ncc[1, 3] = 0.9
    ncc[:, :, 2:5, 2:5] = 0.0
    assert (choice(ncc, JointConfig()) == [1, 3]).all()


def test_skin_that_is_stretched_moves_a_little_from_block_to_block():
    truth = np.repeat(np.arange(6)[None], 6, axis=0)  # columns that move by one each
    ncc = np.zeros((7, 7, 6, 6))
    rows, columns = np.indices((6, 6))
    ncc[3, truth, rows, columns] = 0.8
    found = choice(ncc, JointConfig())
    assert (found[..., 1] == truth).all() and (found[..., 0] == 3).all()


def test_no_correlation_anywhere_is_no_error():
    assert choice(np.zeros((5, 5, 3, 3)), EXACT).shape == (3, 3, 2)
