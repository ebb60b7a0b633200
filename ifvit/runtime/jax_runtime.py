"""A model's pure function, compiled by JAX and bound to the model's weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from flax import nnx


def pairs_at_once() -> int:
    """Return how many pairs are worth one call: one where it fills a CPU's cores, else 16."""
    return 1 if jax.default_backend() == "cpu" else 16


def compiled(model: nnx.Module, function: Callable[..., Any]) -> Callable[..., Any]:
    """Bind ``function(model, ...)`` to a model's weights, traced once per shape of the rest."""
    graph, state = nnx.split(model)

    @jax.jit
    def run(state: Any, *args: Any) -> Any:
        return function(nnx.merge(graph, state), *args)

    return partial(run, state)
