"""The plate on the grid of cells: against a plain solution of its cost, and where one knows it."""

from __future__ import annotations

import numpy as np
import pytest

from ifvit.registration.plate import plate

SHAPES = [(6, 6, 2, 1), (9, 7, 1, 2), (4, 11, 2, 3), (3, 3, 1, 1), (2, 5, 2, 1)]


def cost(field, sure, pull, bending, staying):
    """What the plate says that it minimises, written with differences of the field itself."""
    known = np.einsum("yxkr,yxkl,yxlr", field, sure, field) - 2 * (pull * field).sum()
    mixed = np.diff(np.diff(field, axis=0), axis=1)
    twice = [np.diff(field, 2, axis=axis) for axis in (0, 1)]
    bent = sum((one**2).sum() for one in twice) + 2 * (mixed**2).sum()
    return known + bending * bent + staying * (field**2).sum()


def asked(shape, seed, share=0.6):
    """What some of the cells know, each along some directions."""
    rng = np.random.default_rng(seed)
    rows, columns, inner, _fields = shape
    root = rng.normal(size=(rows, columns, inner, 1)) * (rng.random((rows, columns, 1, 1)) < share)
    sure = root @ root.swapaxes(-1, -2)
    return sure, sure @ rng.normal(size=shape)


@pytest.mark.parametrize("share", [0.2, 0.6])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("bending", "staying"), [(0.01, 1e-3), (1.0, 1e-4)])
def test_no_other_field_costs_less(shape, bending, staying, share):
    """A quadratic cost has its minimum where it rises by as much both ways, in every direction."""
    sure, pull = asked(shape, sum(shape), share)
    found = plate(sure, pull, bending, staying)
    rng = np.random.default_rng(1)
    least = cost(found, sure, pull, bending, staying)
    for _ in range(20):
        step = rng.normal(size=shape)
        up, down = (cost(found + s * step, sure, pull, bending, staying) for s in (1, -1))
        assert up > least and down > least
        assert up - down == pytest.approx(0.0, abs=1e-8 * (up - least))


@pytest.mark.parametrize("shape", SHAPES)
def test_elimination_by_strips_solves_the_whole_system(shape):
    """The system is read from the cost: of each cell and value alone, and of each two together."""
    sure, pull = asked(shape, sum(shape), share=0.3)
    assert 0 < sure.any(axis=(2, 3)).sum() < shape[0] * shape[1]
    size, single = pull[..., 0].size, (*shape[:3], 1)
    basis, still = np.eye(size).reshape(size, *single), np.zeros(single)
    alone = [cost(one, sure, still, 0.3, 1e-4) for one in basis]
    both = [[cost(one + other, sure, still, 0.3, 1e-4) for other in basis] for one in basis]
    system = (np.array(both) - np.add.outer(alone, alone)) / 2
    whole = np.linalg.solve(system, pull.reshape(size, -1)).reshape(shape)
    np.testing.assert_allclose(plate(sure, pull, 0.3, 1e-4), whole, rtol=1e-8, atol=1e-8)


def test_where_nothing_is_known_nothing_moves():
    assert not plate(np.zeros((6, 7, 2, 2)), np.zeros((6, 7, 2, 1)), 0.01, 1e-3).any()


def test_fields_found_at_once_are_those_found_one_by_one():
    sure, pull = asked((8, 10, 2, 3), seed=5)
    one_by_one = [plate(sure, pull[..., one, None], 0.3, 1e-4) for one in range(3)]
    np.testing.assert_allclose(
        plate(sure, pull, 0.3, 1e-4), np.concatenate(one_by_one, axis=-1), atol=1e-9
    )


def test_what_does_not_bend_costs_nothing_and_goes_on():
    """Cells in one corner know an affine field; where nothing is known it goes on as there."""
    y, x = np.mgrid[:20, :20].astype(float)
    affine = np.stack([3 + 0.2 * x - 0.1 * y, -1 + 0.05 * x + 0.3 * y], axis=-1)[..., None]
    sure = np.zeros((20, 20, 2, 2))
    sure[2:9, 3:9] = np.eye(2)
    found = plate(sure, sure @ affine, 1.0, 1e-9)
    np.testing.assert_allclose(found, affine, atol=1e-3)


def test_each_cell_may_know_one_direction_alone():
    """Ridges that run two ways: each knows how far skin went across it, together they know both."""
    shift = np.array([1.5, -4.0])
    across = np.where(np.arange(12) // 3 % 2, 0.4, 2.2)
    normal = np.stack([np.cos(across), np.sin(across)], axis=-1)
    sure = np.broadcast_to(normal[:, None] * normal[:, :, None], (12, 12, 2, 2))
    found = plate(sure, (sure @ shift)[..., None], 0.01, 1e-9)[..., 0]
    np.testing.assert_allclose(found, np.broadcast_to(shift, found.shape), atol=1e-4)


def test_it_follows_a_wave_that_a_mean_of_its_width_would_flatten():
    """Against a Gaussian mean that lets about as much noise through: what the plate is for."""
    rng = np.random.default_rng(0)
    wave = np.broadcast_to(6 * np.sin(np.arange(20) / 2.2)[:, None], (20, 20))
    noise = rng.normal(size=(20, 20))
    line = np.arange(20)
    near = np.exp(-0.5 * ((line - line[:, None]) / 1.5) ** 2)
    near /= near.sum(axis=1, keepdims=True)
    ones = np.ones((20, 20, 1, 1))

    def laid(values):
        return plate(ones, values[..., None, None], 2.0, 1e-9)[..., 0, 0]

    def mean(values):
        return near @ values @ near.T

    inner = slice(3, -3)
    through = [np.std(smooth(noise)[inner, inner]) for smooth in (laid, mean)]
    flattened = [np.abs((smooth(wave) - wave)[inner, inner]).mean() for smooth in (laid, mean)]
    assert through[0] < 1.3 * through[1]
    assert flattened[0] < 0.5 * flattened[1]
