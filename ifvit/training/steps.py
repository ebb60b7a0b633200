"""The compiled step of Module 1: loss to gradients, and what validation counts."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ifvit.models.dense_reg import DenseRegModel
from ifvit.sources.truth import PairBatch
from ifvit.training.compute import gradients
from ifvit.training.losses import dense_loss


@nnx.jit(static_argnames="accumulate")
def dense_step(
    model: DenseRegModel,
    optimizer: nnx.Optimizer,
    batch: PairBatch,
    lambda_D: Float[Array, ""] | float,
    accumulate: int = 1,
) -> dict[str, Array]:
    """Take one step on L_D, in ``accumulate`` parts; returns ``L_D`` and ``loss``."""

    def objective(model: DenseRegModel, batch: PairBatch) -> tuple[Array, Array]:
        output = model(batch.image0, batch.image1, batch.mask0, batch.mask1)
        L_D = dense_loss(output.log_p, batch.matches0)
        return lambda_D * L_D, L_D

    loss, L_D, grads = gradients(objective, model, batch, accumulate)
    optimizer.update(model, grads)
    return {"L_D": L_D, "loss": loss}


@nnx.jit(static_argnames="cells")
def cell_hits(model: DenseRegModel, batch: PairBatch, cells: int) -> Array:
    """Count a batch's matched cells: all, found exactly, found within one cell (8 neighbours)."""
    log_p = model(batch.image0, batch.image1, batch.mask0, batch.mask1).log_p
    found, truth = log_p.argmax(-1), batch.matches0
    rows, columns = found // cells - truth // cells, found % cells - truth % cells
    distance = jnp.maximum(jnp.abs(rows), jnp.abs(columns))
    matched = truth >= 0
    return jnp.stack([matched, matched & (distance == 0), matched & (distance <= 1)]).sum((1, 2))
