"""Module 2 at work on one print: what a template is, whatever its weights have learnt."""

import dataclasses

import numpy as np
import pytest

from ifvit.config import REFERENCE_PPI, STRIDE, ModelConfig
from ifvit.features.coder import INT8, TURNED_DEG, Coder, template_scale
from ifvit.features.features import features_of
from ifvit.features.fit import FIT_CONFIG
from ifvit.features.network_view import canvas_of
from ifvit.features.pose import Pose, core_place, pose_at, upright
from ifvit.geometry.grid import frame_side
from ifvit.geometry.transforms import apply, similarity
from ifvit.geometry.warp import warp


@pytest.fixture(scope="module")
def coder(engine_of) -> Coder:
    return Coder(engine_of(1))


def test_a_template_is_fixed_in_length_and_made_once(coder: Coder, ridge_print) -> None:
    item = features_of(ridge_print)
    made = coder.template(item)
    assert made.cells.shape == (8, 8, 8) and made.cells.dtype == np.int8
    assert made.mask.shape == (8, 8) and made.mask.any()
    assert made.index.shape == (8,) and np.abs(made.index).max() == INT8
    lengths = np.linalg.norm(made.cells / INT8, axis=-1)
    np.testing.assert_allclose(lengths, made.mask, atol=0.02)
    assert coder.template(item) is made


def test_weights_have_a_template_each(engine_of, coder: Coder, ridge_print) -> None:
    item, other = features_of(ridge_print), Coder(engine_of(2))
    assert not np.array_equal(coder.template(item).index, other.template(item).index)
    assert len(item.templates) == 2


def test_a_print_without_ridges_has_an_empty_template(coder: Coder) -> None:
    made = coder.template(features_of(np.ones((128, 128), np.float32)))
    assert not made.mask.any() and not made.cells.any()


def test_a_print_on_a_larger_sheet_is_the_same_print(
    coder: Coder, ridge_print, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pose is of the frame, whose middle is that of the ridges wherever these lie."""
    side = frame_side(coder._loose)
    found = Pose(np.full((1, 2), (side - 1) / 2 + 4.0), np.array([0.3]), np.array([1.0]))
    monkeypatch.setattr(coder, "pose", lambda _frame, _mask: found)
    margin = ((0, 40), (90, 0))
    first = coder.template(features_of(ridge_print))
    second = coder.template(features_of(np.pad(ridge_print, margin, constant_values=1.0)))
    np.testing.assert_allclose(np.subtract(second.core, first.core), (90, 0), atol=1.5)
    assert second.rotation == pytest.approx(np.rad2deg(0.3), abs=1e-4)
    assert (first.mask == second.mask).mean() > 0.9


def test_fine_ridges_are_drawn_at_one_period_and_coarse_ones_as_they_are() -> None:
    for period in (6.0, 7.3, 8.9):
        assert template_scale(period) * period == pytest.approx(FIT_CONFIG.period_px)
    assert template_scale(12.0) == template_scale(float("nan")) == 1.0
    assert template_scale(2.0) == pytest.approx(1.2**3)


def test_the_most_probable_pose_by_hand(small: ModelConfig) -> None:
    log_p = np.full((1, 8, 8), -np.inf, np.float32)
    log_p[0, 2, 5], log_p[0, 2, 6] = np.log([0.75, 0.25])
    offset, up = np.zeros((2, 1, 8, 8, 2), np.float32)
    offset[0, 2, 5] = 0.25, -0.5
    # Both cells have a say in the direction, as probable as each is.
    up[0, 2, 5] = 0.8 * np.cos(0.3), 0.8 * np.sin(0.3)
    up[0, 2, 6] = 0.8 * np.cos(0.5), 0.8 * np.sin(0.5)
    way = 0.75 * up[0, 2, 5] + 0.25 * up[0, 2, 6]
    pose = pose_at(log_p, offset, up, small)
    cell_px = STRIDE * REFERENCE_PPI / small.ppi
    expected = (np.array([5.25, 1.5]) + 0.5) * cell_px - 0.5
    np.testing.assert_allclose(pose.core[0], expected, atol=1e-4)
    np.testing.assert_allclose(
        [pose.rotation[0], pose.confidence[0]], [np.arctan2(*way[::-1]), np.hypot(*way)], atol=1e-6
    )
    # The transform that draws the print upright takes the core's place to the core.
    side = frame_side(small)
    place = np.array(core_place(side))
    laid = np.asarray(upright(pose, side)[0])
    np.testing.assert_allclose(apply(laid, place), expected, atol=1e-3)


def test_a_pose_is_looked_for_on_a_larger_canvas(coder: Coder, small: ModelConfig) -> None:
    assert coder._loose == dataclasses.replace(small, canvas=104)


def test_a_turned_print_is_looked_at_upright_too(
    coder: Coder, ridge_print, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Directions are averaged by how sure each is; the core stays that of the first look."""
    side = frame_side(coder._loose)
    frame = np.ones((side, side), np.float32)
    frame[: ridge_print.shape[0], : ridge_print.shape[1]] = ridge_print
    first = Pose(np.array([[30.0, 40.0]]), np.deg2rad([20.0]), np.array([0.9]))
    second = Pose(np.array([[50.0, 50.0]]), np.deg2rad([-6.0]), np.array([0.3]))
    answers, asked = [first, second], []

    def seen(image: np.ndarray, shown: np.ndarray) -> Pose:
        asked.append((image, shown))
        return answers[len(asked) - 1]

    monkeypatch.setattr(coder, "_seen", seen)
    found = coder.pose(frame, canvas_of(frame[None], coder._loose))
    np.testing.assert_array_equal(found.core, first.core)
    mean = (0.9 * np.exp(1j * np.deg2rad(20)) + 0.3 * np.exp(1j * np.deg2rad(14))) / 2
    np.testing.assert_allclose(
        [found.rotation[0], found.confidence[0]], [np.angle(mean), abs(mean)]
    )
    # The second look is at the print turned back: turned by 20° again, it is the first.
    (before,), (turned,) = (view for view, _ in asked)
    middle = (len(before) - 1) / 2
    (again,), (shown,) = warp(turned, turned != 0, similarity(-20.0, (middle, middle))[None])
    inner = (before != 0) & shown
    assert inner.sum() > 0.7 * (before != 0).sum()
    apart, unturned = np.abs(again - before)[inner], np.abs(turned - before)[inner]
    assert apart.mean() < 0.5 * unturned.mean()


def test_an_upright_print_is_looked_at_once(coder: Coder, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Pose(np.array([[30.0, 40.0]]), np.deg2rad([TURNED_DEG - 0.1]), np.array([0.9]))
    looks = []
    monkeypatch.setattr(coder, "_seen", lambda *given: looks.append(given) or found)
    frame = np.zeros((frame_side(coder._loose),) * 2, np.float32)
    assert coder.pose(frame, canvas_of(frame[None], coder._loose)) is found and len(looks) == 1
