"""The compiled step of Module 1: losses to gradients, and the counts of validation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ifvit.config import REFERENCE_PPI, STRIDE
from ifvit.models.coarse_matching import cell_matches
from ifvit.models.dense_reg import DenseOutput, DenseRegModel
from ifvit.sources.truth import PairBatch
from ifvit.training.gradients import gradients
from ifvit.training.losses import dense_loss, fine_loss

NEAR = 1.5
"""Largest error of a chosen partner, in cells along either axis, at which it is still refined."""


@nnx.jit(static_argnames="accumulate")
def dense_step(
    model: DenseRegModel,
    optimizer: nnx.Optimizer,
    batch: PairBatch,
    lambda_D: Float[Array, ""] | float,
    lambda_F: Float[Array, ""] | float,
    accumulate: int = 1,
) -> dict[str, Array]:
    """Take one step on L_D and L_F, in ``accumulate`` parts; returns both and ``loss``."""

    def objective(model: DenseRegModel, batch: PairBatch) -> tuple[Array, tuple[Array, Array]]:
        L_D, L_F = dense_losses(model, batch)
        return lambda_D * L_D + lambda_F * L_F, (L_D, L_F)

    loss, (L_D, L_F), grads = gradients(objective, model, batch, accumulate)
    optimizer.update(model, grads)
    return {"L_D": L_D, "L_F": L_F, "loss": loss}


def dense_losses(model: DenseRegModel, batch: PairBatch) -> tuple[Array, Array]:
    """Return L_D and L_F of a batch.

    The fine level gets the partners that Module 1 chooses, as in use, where they are near the truth
    (:data:`NEAR`), and the true ones elsewhere.
    """
    maps, output, chosen, found = _chosen(model, batch)
    width = maps[1].shape[2]
    matched = batch.matches0 >= 0
    near = (jnp.abs(found - batch.places1) <= NEAR).all(-1)
    partner0 = jnp.where(matched & ~near, batch.matches0, chosen)
    cell = jnp.stack([partner0 % width, partner0 // width], axis=-1)
    coarse = jnp.where(near[..., None], found, cell)
    fine = model.refine(maps, output, partner0)
    error = coarse + fine.correction - batch.places1
    return dense_loss(output.log_p, batch.matches0), fine_loss(error, fine.spread, matched)


def _chosen(
    model: DenseRegModel, batch: PairBatch
) -> tuple[tuple[Array, Array], DenseOutput, Array, Array]:
    """Return both feature maps, Module 1's output for them, and each cell's partner.

    A partner is a cell's index and its (x, y) in cells, before the fine level. No gradient flows
    back through the choice.
    """
    map0, map1 = model.ResNet18(batch.image0, batch.image1)
    output = model.match_maps(map0, map1, batch.mask0, batch.mask1)
    log_p = jax.lax.stop_gradient(output.log_p)
    partner0, _, places1, _ = cell_matches(log_p, map1.shape[2])
    return (map0, map1), output, partner0, places1


@nnx.jit
def cell_hits(model: DenseRegModel, batch: PairBatch) -> Array:
    """Count a batch's matched cells: all, found exactly, found within one cell (8 neighbours).

    The fourth number is the sum of the position errors of those within one cell, pixels at 500 ppi,
    and the fifth the same sum before the fine level.
    """
    maps, output, found, coarse = _chosen(model, batch)
    width = maps[1].shape[2]
    fine = coarse + model.refine(maps, output, found).correction
    truth = batch.matches0
    rows, columns = found // width - truth // width, found % width - truth % width
    distance = jnp.maximum(jnp.abs(rows), jnp.abs(columns))
    matched = truth >= 0
    near = matched & (distance <= 1)
    size = STRIDE * REFERENCE_PPI / model.config.ppi
    missed = [
        jnp.where(near, size * jnp.linalg.norm(places - batch.places1, axis=-1), 0)
        for places in (fine, coarse)
    ]
    return jnp.stack([matched, matched & (distance == 0), near, *missed]).sum((1, 2))
