"""The compiled step of Module 2, and the poses and codes that its validation computes."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ifvit.comparison.print_similarity import map_similarity
from ifvit.config import REFERENCE_PPI, STRIDE, MatchLossConfig, ModelConfig
from ifvit.features.pose import Pose, pose_at
from ifvit.models.embedding import MatcherModel
from ifvit.sources.posed import PrintBatch
from ifvit.training.gradients import gradients
from ifvit.training.losses import arcface_loss, contrastive_loss, dense_loss, pose_loss

Scalar = Float[Array, ""] | float

LOSSES = ("L_D", "L_P", "L_M", "L_E", "L_A")

START_SCALE = 20.0
"""Initial inverse temperature of the contrastive losses, which is learnt."""

MOST_SCALE = 80.0


class LossSettings(NamedTuple):
    """Weights of the losses by name, and ArcFace's scale and margin in radians."""

    weights: dict[str, Scalar]
    arcface_scale: Scalar
    arcface_margin: Scalar

    @classmethod
    def of(cls, loss: MatchLossConfig) -> LossSettings:
        """Return the settings of a training's losses."""
        weights = {name: getattr(loss, f"lambda_{name[-1]}") for name in LOSSES}
        return cls(weights, loss.arcface_scale, loss.arcface_margin)


class PrintTrainer(nnx.Module):
    """Module 2 with the variables that only training needs: prototypes and temperatures."""

    def __init__(self, model: MatcherModel, num_classes: int, *, rngs: nnx.Rngs) -> None:
        """Make one prototype per finger, random at first."""
        self.model = model
        shape = (num_classes, model.config.embedding_dim)
        draw = nnx.initializers.normal(shape[1] ** -0.5)
        self.prototypes = nnx.Param(draw(rngs.params(), shape))
        self.log_scales = nnx.Param(jnp.log(jnp.full(2, START_SCALE, jnp.float32)))


def print_losses(
    trainer: PrintTrainer, batch: PrintBatch, settings: LossSettings
) -> dict[str, Array]:
    """Return the losses of a batch: L_D, L_P (pose), L_M (dense map), L_E and L_A (index)."""
    model = trainer.model
    pose, code = model(batch.loose, batch.loose_mask, batch.posed, batch.posed_mask)
    core = core_cells(batch, model.config)
    scales = jnp.minimum(jnp.exp(trainer.log_scales[...]), MOST_SCALE)
    alike = map_similarity(code.cells, batch.posed_mask, code.cells, batch.posed_mask)
    first, second = slice(0, None, 2), slice(1, None, 2)
    log_p = model.match_maps(
        code.feature_map[first],
        code.feature_map[second],
        batch.posed_mask[first],
        batch.posed_mask[second],
    )
    return {
        "L_D": dense_loss(log_p, batch.matches0),
        "L_P": pose_loss(pose, core, batch.pose.rotation, on_canvas(core, model.config)),
        "L_M": contrastive_loss(alike, batch.label, scales[0]),
        "L_E": contrastive_loss(code.index @ code.index.T, batch.label, scales[1]),
        "L_A": arcface_loss(
            code.index,
            trainer.prototypes[...],
            batch.label,
            settings.arcface_scale,
            settings.arcface_margin,
        ),
    }


def core_cells(batch: PrintBatch, config: ModelConfig) -> Float[Array, "B 2"]:
    """Return the true cores of the prints as they were captured, in cells from the first centre."""
    cell_px = STRIDE * REFERENCE_PPI / config.ppi
    return (batch.pose.core + 0.5) / cell_px - 0.5


def on_canvas(core: Float[Array, "B 2"], config: ModelConfig) -> Array:
    """Return which cores, in cells, lie on the canvas: others cannot be learnt."""
    return ((core > -1) & (core < config.cells)).all(-1)


@nnx.jit(static_argnames="accumulate")
def print_step(
    trainer: PrintTrainer,
    optimizer: nnx.Optimizer,
    batch: PrintBatch,
    settings: LossSettings,
    accumulate: int = 1,
) -> dict[str, Array]:
    """Take one step on the weighted sum of the losses, in ``accumulate`` parts.

    Both prints of a finger are in one part, and are compared with the prints of that part.
    """

    def objective(trainer: PrintTrainer, part: tuple) -> tuple[Array, dict[str, Array]]:
        losses = print_losses(trainer, _as_batch(*part), settings)
        weighted = [settings.weights[name] * losses[name] for name in LOSSES]
        return jnp.stack(weighted).sum(), losses

    loss, losses, grads = gradients(objective, trainer, _as_fingers(batch), accumulate)
    optimizer.update(trainer, grads)
    return {**losses, "loss": loss}


def _as_fingers(batch: PrintBatch) -> tuple[tuple, Array]:
    """Return a batch as arrays whose first axis is its B/2 fingers."""
    *prints, matches0 = batch
    return jax.tree.map(lambda a: a.reshape(-1, 2, *a.shape[1:]), tuple(prints)), matches0


def _as_batch(prints: tuple, matches0: Array) -> PrintBatch:
    """Undo :func:`_as_fingers`."""
    flat = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), prints)
    return PrintBatch._make((*flat, matches0))


@nnx.jit
def print_codes(
    model: MatcherModel, batch: PrintBatch
) -> tuple[Pose, Float[Array, "B h w K"], Float[Array, "B E"]]:
    """Return the pose that the model finds of each print, and the code of the print as it is laid.

    Poses are in pixels at 500 ppi of the frame, as the batch's own; codes are cells and index.
    """
    found, code = model(batch.loose, batch.loose_mask, batch.posed, batch.posed_mask)
    return pose_at(*found, model.config), code.cells, code.index
