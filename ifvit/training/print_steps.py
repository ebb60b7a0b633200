"""The compiled step of Module 2: losses of a batch of prints to gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from ifvit.comparison.print_similarity import map_similarity
from ifvit.config import REFERENCE_PPI, STRIDE, MatchConfig
from ifvit.models.embedding import MatcherModel
from ifvit.sources.print_synthetic import PrintBatch
from ifvit.training.compute import gradients
from ifvit.training.losses import arcface_loss, contrastive_loss, dense_loss, pose_loss

START_SCALE = 20.0
"""Inverse temperature that the contrastive losses begin with; they learn it."""

MOST_SCALE = 80.0


class PrintTrainer(nnx.Module):
    """Module 2 with what only training needs: prototypes of the fingers, temperatures."""

    def __init__(self, model: MatcherModel, num_classes: int, *, rngs: nnx.Rngs) -> None:
        """One prototype per finger, random at first."""
        self.model = model
        shape = (num_classes, model.config.embedding_dim)
        draw = nnx.initializers.normal(shape[1] ** -0.5)
        self.prototypes = nnx.Param(draw(rngs.params(), shape))
        self.log_scales = nnx.Param(jnp.log(jnp.full(2, START_SCALE)))


def print_losses(trainer: PrintTrainer, batch: PrintBatch, config: MatchConfig) -> dict[str, Array]:
    """Return the losses of a batch: L_D, L_P (pose), L_M (dense map), L_E and L_A (index)."""
    model = trainer.model
    pose, code = model(batch.loose, batch.loose_mask, batch.posed, batch.posed_mask)
    cell_px = STRIDE * REFERENCE_PPI / config.model.ppi
    core = (batch.pose.core + 0.5) / cell_px - 0.5
    inside = ((core > -1) & (core < config.model.cells)).all(-1)
    scales = jnp.minimum(jnp.exp(trainer.log_scales[...]), MOST_SCALE)
    alike = map_similarity(code.cells, batch.posed_mask, code.cells, batch.posed_mask)
    first, second = slice(0, None, 2), slice(1, None, 2)
    log_p = model.match_maps(
        code.feature_map[first], code.feature_map[second], batch.posed_mask[first], batch.posed_mask[second]
    )
    return {
        "L_D": dense_loss(log_p, batch.matches0),
        "L_P": pose_loss(pose, core, batch.pose.rotation, inside),
        "L_M": contrastive_loss(alike, batch.label, scales[0]),
        "L_E": contrastive_loss(code.index @ code.index.T, batch.label, scales[1]),
        "L_A": arcface_loss(
            code.index,
            trainer.prototypes[...],
            batch.label,
            config.arcface_scale,
            config.arcface_margin,
        ),
    }


@nnx.jit(static_argnames=("config", "weights"))
def print_step(
    trainer: PrintTrainer,
    optimizer: nnx.Optimizer,
    batch: PrintBatch,
    config: MatchConfig,
    weights: tuple[float, ...],
) -> dict[str, Array]:
    """Take one step on the weighted sum of the losses."""

    def objective(trainer: PrintTrainer, batch: PrintBatch) -> tuple[Array, dict[str, Array]]:
        parts = print_losses(trainer, batch, config)
        return sum(w * v for w, v in zip(weights, parts.values(), strict=True)), parts

    loss, parts, grads = gradients(objective, trainer, batch, 1)
    optimizer.update(trainer, grads)
    return {**parts, "loss": loss}


@nnx.jit
def held_codes(model: MatcherModel, batch: PrintBatch) -> tuple:
    """Return pose map and code of a batch, in eval mode if the model is."""
    return model(batch.loose, batch.loose_mask, batch.posed, batch.posed_mask)
