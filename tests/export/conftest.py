from __future__ import annotations

import jax
import numpy as np
import pytest
from flax import nnx

from ifvit.models import DenseRegModel, MatcherModel


def stirred(model: nnx.Module, seed: int) -> nnx.Module:
    """Give every parameter and statistic a value of its own: at the start many are 0 or 1."""
    keys = iter(jax.random.split(jax.random.key(seed), 1000))
    changed = []
    for path, var in nnx.to_flat_state(nnx.state(model)):
        noise = np.asarray(jax.random.normal(next(keys), var.shape))
        positive = path[-1] in ("var", "scale")
        value = np.exp(0.3 * noise) if positive else np.asarray(var[...]) + 0.1 * noise
        changed.append((path, var.replace(jax.numpy.asarray(value, jax.numpy.float32))))
    nnx.update(model, nnx.from_flat_state(changed))
    model.eval()
    return model


@pytest.fixture(scope="session")
def stir():
    return stirred


@pytest.fixture(scope="session")
def two_models(micro) -> tuple[DenseRegModel, MatcherModel]:
    """Both modules of one shape, with values that no layer is the identity for."""
    dense = stirred(DenseRegModel(micro, rngs=nnx.Rngs(0)), 0)
    return dense, stirred(MatcherModel(micro, rngs=nnx.Rngs(1)), 1)
