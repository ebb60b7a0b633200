"""An alignment of frames as one of their prints: every point goes where it went."""

from __future__ import annotations

import numpy as np
import pytest

from ifvit.config import ModelConfig
from ifvit.geometry.field import Displacement
from ifvit.geometry.grid import Frame
from ifvit.geometry.transforms import apply, similarity
from ifvit.registration.alignment import Alignment

MODEL = ModelConfig(canvas=96)
SIDE = 192


def framed(seed: int) -> Alignment:
    """Return an alignment of two frames with a smooth displacement of up to some pixels."""
    rng = np.random.default_rng(seed)
    H = similarity(float(rng.uniform(-180, 180)), (95.0, 80.0))
    H[:, 2] += rng.uniform(-20, 20, 2)
    y, x = np.mgrid[: MODEL.cells, : MODEL.cells] / MODEL.cells
    bend = rng.uniform(-5, 5, 4)
    values = np.stack(
        [bend[0] * np.sin(3 * x) + bend[1] * y, bend[2] * np.cos(3 * y) + bend[3] * x], axis=-1
    )
    points0 = rng.uniform(20, SIDE - 20, (30, 2))
    field = Displacement.of_frames(values, MODEL)
    points1 = apply(H, points0 + field.at(points0))
    angle = float(np.rad2deg(np.arctan2(H[1, 0], H[0, 0])))
    agreed = np.ones(30, bool)
    return Alignment(
        *(True, "", H, points0, points1, np.ones(30, np.float32), agreed, angle, field),
        overlap_mm2=144.0,
    )


@pytest.mark.parametrize("scale", [1.0, 1.2, 1.44])
@pytest.mark.parametrize("seed", range(5))
def test_points_go_where_they_went(scale: float, seed: int) -> None:
    found = framed(seed)
    frame0, frame1 = Frame(scale, (13, -40)), Frame(scale, (-7, 25))
    there = found.on_prints(frame0, frame1)
    inner = np.random.default_rng(seed).uniform(20, SIDE - 20, (50, 2))
    expected = frame1.on_print(found.place(inner))
    np.testing.assert_allclose(there.place(frame0.on_print(inner)), expected, atol=1e-9)
    np.testing.assert_allclose(there.points1, there.place(there.points0), atol=1e-9)
    # The area is the finger's: what is drawn larger is no larger.
    assert there.overlap_mm2 == pytest.approx(144.0 / scale**2)
    assert there.angle == found.angle


@pytest.mark.parametrize("scale", [1.0, 1.44])
@pytest.mark.parametrize("seed", range(3))
def test_transposed_goes_back(scale: float, seed: int) -> None:
    found = framed(seed)
    there = found.on_prints(Frame(scale, (13, -40)), Frame(scale, (-7, 25)))
    back = there.transposed()
    # Beyond the outer cells of frame 1 the way back is told by those alone.
    known = ((found.points1 > 16) & (found.points1 < SIDE - 16)).all(axis=1)
    assert known.sum() > 5
    returned = back.place(there.points1)[known]
    np.testing.assert_allclose(returned, there.points0[known], atol=0.3 / scale)
    again = back.transposed()
    np.testing.assert_allclose(again.H_0to1, there.H_0to1, atol=1e-9)
    np.testing.assert_array_equal(again.points0, there.points0)
