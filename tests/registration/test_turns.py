"""The rotations that the flow suggests: the true one is among them."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.features.frame_features import FrameFeatures, frame_features
from ifvit.geometry.grid import frame_side
from ifvit.presets import TINY_MODEL
from ifvit.registration.align import AlignConfig, search_angles
from ifvit.registration.turns import likely_turns
from ifvit.sources.dense_synthetic import draw_pairs, render_frames

FINGERS = 4
TURNS = np.deg2rad([35.0, -80.0, 175.0, -150.0])


@pytest.fixture(scope="module")
def pairs(masters) -> list[tuple[FrameFeatures, FrameFeatures]]:
    """Two impressions of each of some fingers, the second turned by :data:`TURNS`."""
    finger = jnp.repeat(jnp.arange(FINGERS)[:, None], 2, axis=1)
    impression = jnp.tile(jnp.array([0, 1]), (FINGERS, 1))
    params = draw_pairs(0, finger, impression, 20.0)
    params = params[0], params[1]._replace(turn=jnp.asarray(TURNS, jnp.float32))
    made = []
    for each in params:
        frames = np.asarray(render_frames(masters, each, TINY_MODEL))
        made.append([frame_features(frame, None, TINY_MODEL) for frame in frames])
    assert frames.shape[1] == frame_side(TINY_MODEL)
    return list(zip(*made, strict=True))


@pytest.mark.heavy
def test_the_true_rotation_is_among_the_few(pairs: list) -> None:
    angles = search_angles()
    found = np.array([likely_turns(*pair, angles, AlignConfig().turns) for pair in pairs])
    assert found.shape == (FINGERS, AlignConfig().turns)
    # A print that was turned one way is laid on the other by turning it back.
    away = (found + np.rad2deg(TURNS)[:, None] + 180) % 360 - 180
    assert (np.abs(away).min(axis=1) <= 45).all(), away


@pytest.mark.heavy
def test_where_few_are_tried_all_are(pairs: list) -> None:
    angles = np.array([-10.0, 0.0, 10.0])
    np.testing.assert_array_equal(likely_turns(*pairs[0], angles, 3), angles)
