"""How a step computes its gradients: in which precision, with which memory, in how many parts.

These settings change what is learnt only by rounding and, with several parts, by the batches that
batch statistics are computed over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from ifvit.config import HardwareConfig
from ifvit.models import DenseRegModel, MatcherModel
from ifvit.models.backbone import ResNet18
from ifvit.models.transformer import LocalFeatureTransformer, SiameseTransformer

Model = TypeVar("Model", DenseRegModel, MatcherModel)

HEAVY = (ResNet18, LocalFeatureTransformer, SiameseTransformer)
"""The parts that take nearly all time and memory; heads and losses are computed as usual."""

OTHERS = nnx.Not(nnx.Param)
"""The variables that a step changes without a gradient: running averages."""


def set_compute(model: nnx.Module, hardware: HardwareConfig) -> None:
    """Let the heavy parts compute as ``hardware`` says; parameters and norms stay float32."""
    for _, part in nnx.iter_modules(model):
        if isinstance(part, HEAVY):
            part.remat = hardware.remat
            if hardware.compute_dtype != "float32":
                part.set_attributes(nnx.Conv, nnx.Linear, dtype=jnp.dtype(hardware.compute_dtype))


def as_used(model: Model) -> Model:
    """Return the model as it is used after training: running averages, and all in float32."""
    view = nnx.view(model, use_running_average=True)
    view.set_attributes(nnx.Conv, nnx.Linear, dtype=None)
    return view


def gradients(
    objective: Callable[[Any, Any], tuple[Array, Any]], model: nnx.Module, batch: Any, parts: int
) -> tuple[Array, Any, Any]:
    """Return the loss, its auxiliary values, and the gradients of ``objective(model, batch)``.

    The batch is divided into ``parts`` equal parts, computed one after the other, and the means
    over these are returned. This takes the memory of one part; batch norm uses the statistics of
    each part.
    """
    if parts == 1:
        (loss, aux), grads = nnx.value_and_grad(lambda m: objective(m, batch), has_aux=True)(model)
        return loss, aux, grads
    graph, *states = nnx.split(model, nnx.Param, OTHERS)
    params, rest = states

    def pure(params: Any, rest: Any, part: Any) -> tuple[Array, Any]:
        merged = nnx.merge(graph, params, rest, copy=True)
        loss, aux = objective(merged, part)
        return loss, (aux, nnx.state(merged, OTHERS))

    def one(carry: tuple[Any, Any], part: Any) -> tuple[Any, Any]:
        total, rest = carry
        (loss, (aux, rest)), grads = jax.value_and_grad(pure, has_aux=True)(params, rest, part)
        return (jax.tree.map(jnp.add, total, grads), rest), (loss, aux)

    start = (jax.tree.map(jnp.zeros_like, params), rest)
    (total, rest), found = jax.lax.scan(one, start, _divided(batch, parts))
    nnx.update(model, rest)
    loss, aux = jax.tree.map(lambda values: values.mean(axis=0), found)
    return loss, aux, jax.tree.map(lambda grad: grad / parts, total)


def _divided(batch: Any, parts: int) -> Any:
    """Return a batch with an axis of parts in front: pair i is in part i mod ``parts``.

    Neighbours go to different parts, so that each device has its pairs of every part already.
    """
    return jax.tree.map(
        lambda x: jnp.moveaxis(x.reshape(-1, parts, *x.shape[1:]), 1, 0),
        batch,
    )
