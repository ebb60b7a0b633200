"""Prints drawn in their poses, with the error that a pose has."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ifvit.config import MatchDataConfig
from ifvit.features.pose import Pose, core_place, upright
from ifvit.geometry.transforms import apply
from ifvit.sources.posed import PoseError, erring

POSE = Pose(jnp.array([40.0, 70.0]), jnp.array(0.3), jnp.array(1.0))
SIDE = 96


def test_without_error_it_is_the_pose_that_use_draws_by():
    H = erring(jax.random.key(0), POSE, PoseError(0.0, 0.0, 0.0), SIDE)
    many = jax.tree.map(lambda a: a[None], POSE)
    np.testing.assert_allclose(H, upright(many, SIDE)[0], atol=1e-5)


def test_the_error_has_the_spread_that_was_asked_for():
    keys = jax.random.split(jax.random.key(0), 1000)
    H = jax.vmap(lambda key: erring(key, POSE, PoseError(8.0, 5.0, 0.03), SIDE))(keys)
    angle = np.rad2deg(np.arctan2(H[:, 1, 0], H[:, 0, 0])) - np.rad2deg(0.3)
    scale = np.log(np.hypot(H[:, 0, 0], H[:, 1, 0]))
    place = jnp.array([core_place(SIDE)])
    shift = np.asarray(jax.vmap(lambda one: apply(one, place))(H))[:, 0] - POSE.core
    for found, wanted in ((angle, 5.0), (scale, 0.03), (shift, 8.0)):
        assert found.std() == pytest.approx(wanted, rel=0.1)
        assert np.abs(found).max() < 2.51 * wanted


def test_a_training_says_which_error():
    data = MatchDataConfig(pose_shift_px=1.0, pose_rotation=2.0, pose_scale=0.5)
    assert PoseError.of(data) == PoseError(1.0, 2.0, 0.5)
    assert PoseError.of(MatchDataConfig()) == PoseError()
