"""Minutiae of patterns whose only minutia is known, and of skeletons drawn by hand."""

from __future__ import annotations

import builtins
import tracemalloc

import numpy as np
import pytest

from ifvit.features.ridge_phase import dislocations
from ifvit.minutiae.minutiae import crossing_numbers, extract_minutiae
from ifvit.minutiae.structures import _adjacent, _facing, spurious, tied

pytest.importorskip("skimage")

SIDE, PERIOD = 192, 9.0
MIDDLE = np.array([95.5, 100.5])


def fringes(across: float, sign: int, phase: float) -> np.ndarray:
    """Return ridges, dark, of one period, with one minutia at MIDDLE; ``across`` in radians."""
    y, x = np.mgrid[:SIDE, :SIDE]
    dx, dy = x - MIDDLE[0], y - MIDDLE[1]
    wave = 2 * np.pi / PERIOD * (dx * np.cos(across) + dy * np.sin(across))
    pattern = np.cos(wave + sign * np.arctan2(dy, dx) + phase)
    return (0.5 - 0.45 * pattern).astype(np.float32)


def turned(first: np.ndarray | float, second: float) -> np.ndarray:
    return np.abs(np.angle(np.exp(1j * (np.asarray(first) - second))))


@pytest.mark.parametrize("across", [0.0, 0.7, 2.4])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("kind", ["ending", "bifurcation"])
def test_one_minutia_has_its_place_direction_and_type(across, sign, kind):
    # Straight ahead of the minutia, where there is one line more, a ridge or a valley begins.
    phase = np.pi / 2 - sign * across + (0 if kind == "ending" else np.pi)
    shown = fringes(across, sign, phase)
    found = extract_minutiae(shown, np.ones(shown.shape, bool))
    assert len(found) == 1
    assert np.linalg.norm(found.places[0] - MIDDLE) < 7
    assert turned(found.directions[0], across - sign * np.pi / 2) < np.deg2rad(12)
    assert found.kind(0) == kind


@pytest.mark.parametrize("sign", [1, -1])
def test_the_phase_tells_the_same_place_to_a_pixel(sign):
    places, directions = dislocations(-fringes(0.7, sign, 0.3), PERIOD, 0.6, 6.0)
    inside = np.linalg.norm(places - MIDDLE, axis=1) < 60
    assert inside.sum() == 1
    assert np.linalg.norm(places[inside][0] - MIDDLE) < 1.5
    assert turned(directions[inside][0], 0.7 - sign * np.pi / 2) < np.deg2rad(5)


def test_the_border_of_a_print_has_no_minutiae():
    y, x = np.mgrid[:SIDE, :SIDE]
    shown = (0.5 + 0.45 * np.cos(2 * np.pi * x / PERIOD)).astype(np.float32)
    disc = np.hypot(x - 96, y - 96) < 70
    assert len(extract_minutiae(np.where(disc, shown, 1).astype(np.float32), disc)) == 0


def test_a_blank_print_has_none_whatever_its_size():
    for shape in ((64, 65), (63, 64), (1, 1), (2, 50)):
        found = extract_minutiae(np.ones(shape, np.float32), np.zeros(shape, bool))
        assert len(found) == 0 and found.places.shape == (0, 2)


def skeleton_of(drawn: str) -> np.ndarray:
    rows = [line.strip() for line in drawn.strip().splitlines()]
    return np.array([[sign == "#" for sign in row] for row in rows])


def test_crossing_numbers_of_an_end_a_line_and_a_fork():
    lines = skeleton_of(
        """
        .......#
        ......#.
        .#####..
        ......#.
        .......#
        """
    )
    crossing = crossing_numbers(lines)
    assert crossing[2, 1] == 1 and crossing[2, 3] == 2 and crossing[2, 5] == 3
    assert crossing[0, 0] == 0


def long_line(length: int = 60, rows: int = 31) -> np.ndarray:
    made = np.zeros((rows, length), bool)
    made[rows // 2] = True
    return made


def test_spurs_bridges_and_islands_are_told_and_long_branches_stay():
    flow = np.zeros((31, 60))
    spur = long_line()
    spur[12:15, 30] = True
    bridge = np.zeros((31, 60), bool)
    bridge[10] = bridge[16] = True
    bridge[10:17, 30] = True
    island = np.zeros((31, 60), bool)
    island[15, 20:25] = True
    for drawn in (spur, bridge, island):
        crossing = crossing_numbers(drawn)
        inner = ((crossing == 1) | (crossing >= 3)) & (np.arange(60) > 3) & (np.arange(60) < 56)
        assert inner.any() and spurious(drawn, crossing, flow)[inner].all()
    branch = long_line()
    branch[2:15, 30] = True
    assert tied(branch, crossing_numbers(branch)) == []


def test_ends_that_face_each_other_along_the_flow_are_a_break():
    broken = long_line()
    broken[15, 28:33] = False
    crossing = crossing_numbers(broken)
    gap = (np.array([15, 15]), np.array([27, 33]))
    assert spurious(broken, crossing, np.zeros(broken.shape))[gap].all()
    assert not spurious(broken, crossing, np.full(broken.shape, np.pi / 2))[gap].any()


@pytest.mark.parametrize("crossing", [1, 3], ids=["ends", "forks"])
@pytest.mark.heavy
def test_what_thousands_of_ends_and_forks_take_grows_with_their_number(crossing):
    """All by all would be 20,000 by 20,000 here."""
    dots = np.zeros((900, 1000), bool)
    dots[4::9, 4::10] = dots[4::9, 7::10] = True
    tracemalloc.start()
    try:
        marked = spurious(dots, np.where(dots, crossing, 0), np.zeros(dots.shape))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert dots.sum() == 20_000 and marked[dots].all()
    assert most < 100e6


def test_neighbours_are_those_that_a_comparison_of_all_finds():
    draw = np.random.default_rng(3)
    places = np.unique(draw.integers(0, 60, (150, 2)), axis=0)
    flow = draw.uniform(-np.pi, np.pi, (60, 60))
    step = places[None] - places[:, None]
    distance, angle = np.hypot(*np.moveaxis(step, -1, 0)), flow[tuple(places.T)][:, None]
    along = np.abs(step[..., 1] * np.cos(angle) + step[..., 0] * np.sin(angle))
    across = (distance > 0) & (distance < 9) & (along > 0.7 * distance)
    assert _facing(places, flow).tolist() == np.nonzero(across.any(1))[0].tolist()
    near = np.argwhere(np.triu(np.abs(step).max(-1) <= 3, 1)).tolist()
    pairs = [[tuple(places[i].tolist()), tuple(places[j].tolist())] for i, j in near]
    assert sorted(_adjacent(places)) == sorted(pairs)
    assert _adjacent(places[:0]) == [] and len(_facing(places[:0], flow)) == 0


def test_more_minutiae_than_prints_have_are_an_error():
    with pytest.raises(ValueError, match="1 minutiae in one image: expected at most 0"):
        extract_minutiae(fringes(0, 1, np.pi / 2), np.ones((SIDE, SIDE), bool), most=0)


def test_without_scikit_image_one_line_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("skimage"):
            raise ImportError("No module named 'skimage'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ValueError, match=r"pip install 'ifvit\[examiner\]'"):
        extract_minutiae(fringes(0, 1, 0), np.ones((SIDE, SIDE), bool))
