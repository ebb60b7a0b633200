"""Prints in their poses: the training data of Module 2, from any source."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ifvit.config import MatchDataConfig, ModelConfig
from ifvit.features.network_view import network_input
from ifvit.features.pose import Pose, upright
from ifvit.sources.batch_warp import warp_affine_batch


class PoseError(NamedTuple):
    """Standard deviations of the pose's error in training: pixels at 500 ppi, degrees, share."""

    shift_px: float = 8.0
    rotation: float = 5.0
    scale: float = 0.03

    @classmethod
    def of(cls, data: MatchDataConfig) -> PoseError:
        """Return the error that a training's settings ask for."""
        return cls(data.pose_shift_px, data.pose_rotation, data.pose_scale)


class PrintBatch(NamedTuple):
    """B prints, two by two of one finger; canvases at the network's resolution, normalised."""

    loose: Float[Array, "B H W"]
    loose_mask: Bool[Array, "B h w"]
    pose: Pose
    """The true pose, in pixels at 500 ppi of the frame that ``loose`` shows."""
    posed: Float[Array, "B H W"]
    posed_mask: Bool[Array, "B h w"]
    label: Int[Array, " B"]
    matches0: Int[Array, "B/2 N"]
    """Partners of the cells of posed print 2i in posed print 2i + 1
    (:mod:`ifvit.sources.truth`)."""


class Views(NamedTuple):
    """B prints as the networks see them: as they were captured, and in their poses."""

    loose: Float[Array, "B H W"]
    loose_mask: Bool[Array, "B h w"]
    posed: Float[Array, "B H W"]
    posed_mask: Bool[Array, "B h w"]


def erring(key: PRNGKeyArray, pose: Pose, error: PoseError, side: int) -> Float[Array, "2 3"]:
    """Return the output-to-input transform that draws a print in its pose with a random error."""
    normal = jnp.clip(jax.random.normal(key, (4,)), -2.5, 2.5)
    rotation = pose.rotation + jnp.deg2rad(error.rotation) * normal[0]
    core = pose.core + error.shift_px * normal[2:]
    return upright(Pose(core, rotation), side, jnp.exp(error.scale * normal[1]))


def views_of(
    frames: Float[Array, "B S S"],
    mask: Bool[Array, "B S S"],
    laid: Float[Array, "B 2 3"],
    model: ModelConfig,
) -> Views:
    """Return frames at 500 ppi as they are, and drawn through the transforms ``laid``."""
    posed = network_input(*warp_affine_batch(frames, mask, laid), model)
    return Views(*network_input(frames, mask, model), *posed)
