"""The pose of a print by itself: where the core lies and which way the finger points."""

import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.config import ModelConfig
from ifvit.features.frame_features import frame_features, upright_transform
from ifvit.features.network_view import enhanced_view, frame_foreground
from ifvit.features.pose import Pose, core_place, pose_of, upright
from ifvit.geometry.grid import frame_side
from ifvit.geometry.transforms import apply, similarity
from ifvit.geometry.warp import warp
from ifvit.registration.pairing import upright_on_upright
from ifvit.synthesis import Master, draw_impression, finger_key, from_master, render

MODEL = ModelConfig(canvas=128)
SIDE = frame_side(MODEL)


@pytest.fixture(scope="module", params=[np, jnp], ids=["numpy", "jax"])
def library(request):
    """Prints in use are NumPy's, those of training JAX's: one formula for both."""
    return request.param


def loop(core: tuple[float, float], turn: float) -> np.ndarray:
    """Return the orientation of a single loop at ``core`` (pixels at 250 ppi), turned, degrees."""
    y, x = np.mgrid[: MODEL.canvas, : MODEL.canvas]
    around = np.arctan2(y - core[1], x - core[0])
    # Twice the ridge's angle turns as the direction from the core does. Upright, ridges lie level
    # right above the core, where that direction is minus a right angle.
    turn = np.deg2rad(turn)
    return 0.5 * (around - turn + np.pi / 2) + turn


@pytest.mark.parametrize("turn", [-50.0, 0.0, 15.0, 50.0])
@pytest.mark.parametrize("core", [(64.0, 64.0), (44.0, 80.0)])
def test_a_loops_core_and_direction(library, core, turn):
    orientation = library.asarray(loop(core, turn)[None], dtype=np.float32)
    clear = library.ones(orientation.shape, np.float32)
    pose = pose_of(orientation, clear, clear > 0, MODEL)
    expected = 2 * np.array(core) + 0.5
    assert np.linalg.norm(np.asarray(pose.core[0]) - expected) < 6  # cells are 8 px apart
    assert np.rad2deg(float(pose.rotation[0])) == pytest.approx(turn, abs=3.0)


def test_the_core_lies_on_the_print():
    orientation = loop((30.0, 64.0), 0.0).astype(np.float32)[None]
    mask = np.broadcast_to(np.arange(MODEL.canvas) >= 64, orientation.shape)
    pose = pose_of(orientation, np.ones_like(orientation), mask, MODEL)
    assert float(pose.core[0, 0]) >= 2 * 64


def test_without_ridges_it_is_the_canvas_as_it_is():
    nothing = np.zeros((1, MODEL.canvas, MODEL.canvas), np.float32)
    pose = pose_of(nothing, nothing, nothing.astype(bool), MODEL)
    np.testing.assert_allclose(pose.core, [[(SIDE - 1) / 2] * 2])
    assert float(pose.rotation[0]) == 0.0


def test_upright_takes_the_cores_place_to_the_core():
    pose = Pose(np.array([[90.0, 170.0]]), np.array([0.4]))
    H = np.asarray(upright(pose, SIDE)[0])
    place = np.array(core_place(SIDE))
    np.testing.assert_allclose(H[:, :2] @ place + H[:, 2], [90.0, 170.0], atol=1e-3)
    above = H[:, :2] @ (place - [0.0, 10.0]) + H[:, 2] - [90.0, 170.0]
    # The fingertip of a finger turned clockwise, in image coordinates, lies to the right.
    np.testing.assert_allclose(above, [10 * np.sin(0.4), -10 * np.cos(0.4)], atol=1e-3)


@pytest.fixture(scope="module")
def frames(masters) -> np.ndarray:
    """Four fingers, an impression each."""
    made = []
    for finger in range(4):
        one = Master(*(array[finger] for array in masters))
        params = draw_impression(finger_key(0, finger), 0, 0.0)._replace(wet=jnp.zeros(()))
        made.append(render(one, params, (SIDE, SIDE)).image)
    return np.stack(list(map(np.asarray, made)))


def posed(frames: np.ndarray) -> Pose:
    shown = enhanced_view(frames, frame_foreground(frames, MODEL), MODEL)
    return pose_of(shown.orientation, shown.coherence, shown.mask, MODEL)


SHIFT = np.array([[0.0, 0.0, -16.0], [0.0, 0.0, 10.0]])
MOVED = similarity(25.0, ((SIDE - 1) / 2, (SIDE - 1) / 2)) + SHIFT
"""Takes the pixels of the moved prints to where they were."""


@pytest.fixture(scope="module")
def moved(frames) -> np.ndarray:
    whole = np.ones((SIDE, SIDE), bool)
    return np.stack([warp(frame, whole, MOVED[None])[0][0] for frame in frames])


@pytest.mark.heavy
def test_a_turned_and_shifted_print_has_its_pose_turned_and_shifted(frames, moved):
    """A template is of the finger, not of how it was set down."""
    pose0, pose1 = posed(frames), posed(moved)
    away = np.linalg.norm(apply(MOVED, np.asarray(pose1.core)) - np.asarray(pose0.core), axis=1)
    turned = np.rad2deg(np.asarray(pose0.rotation - pose1.rotation))
    assert np.median(away) < 12 and np.median(np.abs(turned - 25)) < 8


def test_core_on_core_lays_a_print_on_itself(frames, moved):
    def uprights(images: np.ndarray) -> list[np.ndarray]:
        return [upright_transform(frame_features(one, None, MODEL), MODEL) for one in images]

    found = [
        upright_on_upright(*both) for both in zip(uprights(moved), uprights(frames), strict=True)
    ]
    corners = np.array([[64.0, 64.0], [192.0, 64.0], [64.0, 192.0], [192.0, 192.0]])
    away = [np.linalg.norm(apply(H - MOVED, corners), axis=1).mean() for H in found]
    assert np.median(away) < 20  # of a print that lay 30 px and more from there


def test_the_core_is_found_near_where_it_is(masters, frames):
    """Of fingers that have one: to within a few ridges, as it is the flow's core, not a ridge's."""
    found, away = posed(frames), []
    for finger in np.flatnonzero(np.asarray(masters.pattern)[:4] > 0):
        params = draw_impression(finger_key(0, int(finger)), 0, 0.0)
        core = from_master(params, masters.core[finger][None], (SIDE, SIDE))[0]
        away.append(float(np.linalg.norm(found.core[finger] - core)))
    assert len(away) >= 2 and np.median(away) < 40
