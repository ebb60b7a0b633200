"""The compiled steps of both modules: losses to gradients, and what validation counts."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from ifvit.comparison.score import FUSION, scores
from ifvit.comparison.views import matcher_input
from ifvit.config import MatchConfig, ModelConfig
from ifvit.features.network_view import enhanced_view, frame_foreground
from ifvit.features.pose import upright_of
from ifvit.geometry.warp import warp_pairs
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherInput, MatcherModel, MatcherOutput
from ifvit.sources.aligned import AlignedBatch
from ifvit.sources.truth import PairBatch, cell_matches, impostor_matches
from ifvit.training.compute import gradients
from ifvit.training.losses import arcface_loss, dense_loss, embedding_loss, template_loss


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


class MatchTrainer(nnx.Module):
    """Module 2 with the identity prototypes of ArcFace, which only training needs."""

    def __init__(self, model: MatcherModel, num_classes: int, *, rngs: nnx.Rngs) -> None:
        """One prototype per identity and branch, random at first."""
        self.model = model
        shape = (num_classes, model.config.embedding_dim)
        draw = nnx.initializers.normal(shape[1] ** -0.5)
        self.global_prototypes = nnx.Param(draw(rngs.params(), shape))
        self.local_prototypes = nnx.Param(draw(rngs.params(), shape))


@partial(jax.jit, static_argnames="model")
def match_views(batch: AlignedBatch, model: ModelConfig) -> tuple[MatcherInput, Int[Array, "B N"]]:
    """Return Module 2's views of a batch, made as ``match`` makes them, and L_D's ground truth.

    Prints by themselves are laid upright first, as ``embed`` lays them.
    """
    mask0 = frame_foreground(batch.frame0, model)
    mask1 = frame_foreground(batch.frame1, model)
    shown = enhanced_view(batch.frame0, mask0, model)
    laid, inside = warp_pairs(batch.frame0, mask0, upright_of(shown, model))
    alone = batch.alone[:, None, None]
    frame0, mask0 = jnp.where(alone, laid, batch.frame0), jnp.where(alone, inside, mask0)
    frame1, mask1 = jnp.where(alone, laid, batch.frame1), jnp.where(alone, inside, mask1)
    views, _ = matcher_input(frame0, mask0, frame1, mask1, batch.H_0to1, model, alone=batch.alone)
    mask = views.global_mask0
    truth = partial(cell_matches, model=model)
    matches0 = jax.vmap(truth)(batch.points1, batch.valid, batch.points0, mask, mask)
    none = impostor_matches(matches0, mask)
    return views, jnp.where(batch.genuine[:, None], matches0, none)


def match_losses(
    trainer: MatchTrainer,
    output: MatcherOutput,
    matches0: Int[Array, "B N"],
    batch: AlignedBatch,
    config: MatchConfig,
) -> dict[str, Array]:
    """Return L_D, L_E and L_A of a batch; the last two are means over both branches.

    L_E is that of the pairs and, added to it, that of the stand-alone templates.
    """
    pairs = ((output.global0, output.global1), (output.local0, output.local1))
    prototypes = (trainer.global_prototypes[...], trainer.local_prototypes[...])
    L_E = [
        embedding_loss(e0, e1, batch.genuine, config.margin_E, ~batch.alone)
        + template_loss(e0, batch.label0, batch.alone, config.margin_E)
        for e0, e1 in pairs
    ]
    L_A = [
        arcface_loss(e, p, label, config.arcface_scale, config.arcface_margin)
        for both, p in zip(pairs, prototypes, strict=True)
        for e, label in zip(both, (batch.label0, batch.label1), strict=True)
    ]
    return {
        "L_D": dense_loss(output.log_p, matches0),
        "L_E": jnp.stack(L_E).mean(),
        "L_A": jnp.stack(L_A).mean(),
    }


@nnx.jit(static_argnames="config")
def match_step(
    trainer: MatchTrainer,
    optimizer: nnx.Optimizer,
    views: MatcherInput,
    matches0: Int[Array, "B N"],
    batch: AlignedBatch,
    config: MatchConfig,
) -> dict[str, Array]:
    """Take one step on the weighted sum of the three losses, in ``config.accumulate`` parts."""

    def objective(trainer: MatchTrainer, part: tuple) -> tuple[Array, dict[str, Array]]:
        views, matches0, batch = part
        parts = match_losses(trainer, trainer.model(views), matches0, batch, config)
        weights = {"L_D": config.lambda_D, "L_E": config.lambda_E, "L_A": config.lambda_A}
        total = jnp.stack([weights[name] * parts[name] for name in parts]).sum()
        return total, parts

    whole = (views, matches0, batch)
    loss, parts, grads = gradients(objective, trainer, whole, config.accumulate)
    optimizer.update(trainer, grads)
    return {**parts, "loss": loss}


@nnx.jit
def stand_alone_embeddings(model: MatcherModel, views: MatcherInput) -> Float[Array, "B 2 E"]:
    """Return the global and the local embedding of each print 0."""
    output = model(views)
    return jnp.stack([output.global0, output.local0], axis=1)


@nnx.jit
def fused_scores(model: MatcherModel, views: MatcherInput) -> Array:
    """Return the fused score of each pair of views."""
    return scores(model(views), FUSION.global_share).fused
