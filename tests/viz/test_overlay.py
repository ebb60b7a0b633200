"""Pictures of a registered pair: what they show is where it was computed to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ifvit.registered_pair import Registration, save_displacement
from ifvit.registration.alignment import Alignment
from ifvit.viz.overlay import aligned, checkerboard, draw_registration, overlay

SIDE = 128


def as_it_is() -> Alignment:
    points = np.array([[20.0, 30.0], [90.0, 70.0], [40.0, 100.0]])
    sure, all_agree = np.ones(3, np.float32), np.ones(3, bool)
    return Alignment(True, "", np.eye(2, 3), points, points, sure, all_agree, 0.0)


@pytest.fixture
def found() -> Registration:
    rng = np.random.default_rng(0)
    image0, image1 = rng.random((2, SIDE, SIDE)).astype(np.float32)
    still = np.zeros((SIDE, SIDE, 2), np.float32)
    everywhere = np.ones((SIDE, SIDE), bool)
    alignment = as_it_is()
    return Registration(alignment, image0, image1, image1, still, everywhere, "a.png", "b.png")


def test_where_ridges_meet_it_is_dark_and_elsewhere_each_has_its_colour() -> None:
    ridge = np.ones((SIDE, SIDE), np.float32)
    ridge[:, :64] = 0
    across = ridge.T.copy()
    nothing = np.zeros((SIDE, SIDE, 2), np.float32)
    mask = np.ones((SIDE, SIDE), bool)
    found = Registration(as_it_is(), ridge, across, across, nothing, mask)
    picture = overlay(found)
    both, only0, only1, none = (picture[y, x] for y, x in ((9, 9), (200, 9), (9, 200), (200, 200)))
    assert both.max() < 80 and none.min() == 255
    assert only0[0] > only0[2] + 100, "image 0 is orange"
    assert only1[2] > only1[0] + 100, "image 1 is blue"


def test_squares_alternate(found: Registration) -> None:
    picture = checkerboard(found)[::2, ::2, 0] / 255
    np.testing.assert_allclose(picture[:32, :32], found.image0[:32, :32], atol=0.01)
    np.testing.assert_allclose(picture[:32, 32:64], found.aligned[:32, 32:64], atol=0.01)
    np.testing.assert_allclose(picture[32:64, 32:64], found.image0[32:64, 32:64], atol=0.01)


@pytest.mark.parametrize("ok", [True, False])
def test_all_is_written_whether_or_not_it_could_be_aligned(
    found: Registration, tmp_path: Path, ok: bool
) -> None:
    alignment = replace(found.alignment, ok=ok, reason="" if ok else "too few agree")
    found = replace(found, alignment=alignment)
    made = draw_registration(found, tmp_path / "new")
    assert [path.name for path in made] == [
        *("aligned.png", "overlay.png", "checkerboard.png", "field.png")
    ]
    with Image.open(made[0]) as written:
        np.testing.assert_array_equal(np.asarray(written), aligned(found))
    save_displacement(found, tmp_path / "field.npz")
    with np.load(tmp_path / "field.npz", allow_pickle=False) as archive:
        assert archive["displacement"].shape == (SIDE, SIDE, 2) and int(archive["ppi"]) == 500
