"""Which enhancement a print goes through: the contextual filter, a learned one, or none.

Module 2 is trained on prints that the contextual filter enhanced (:mod:`ifvit.features.enhance`).
The other choices are for comparison, and may serve better for prints that are poorer than those in
training: ``pyfing`` draws ridges where the filter leaves doubt.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

EnhancerName = Literal["gabor", "pyfing", "none"]
"""gabor: the built-in contextual filter; pyfing: networks of that package; none: no enhancement."""

Source = Callable[[Float[np.ndarray, "S S"]], Float[np.ndarray, "S S"]]
"""A function that takes a grey print at 500 ppi, ridges dark, and returns the image from which its
ridges are taken without the contextual filter."""

BORDER = 32
"""Pixels of padding around the print, so that every side is a multiple of 64: pyfing's networks
halve it six times. The sides of a frame are multiples of 64 too (``frame_side``)."""

_NETWORKS = (
    ("segmentation", "Sufs"),
    ("orientations", "Snfoe"),
    ("frequencies", "Snffe"),
    ("enhancement", "Snfen"),
)


def source_of(enhancer: str) -> Source | None:
    """Return the function of an enhancer (:data:`Source`); None for the contextual filter.

    Raises ValueError for an unknown name, and where ``pyfing`` cannot be used.
    """
    if enhancer == "gabor":
        return None
    if enhancer == "none":
        return lambda image: image
    if enhancer == "pyfing":
        return _pyfing()
    raise ValueError(f"unknown enhancer {enhancer!r}: expected gabor, pyfing or none")


def _pyfing() -> Source:
    """Return pyfing's SNFEN, masked by its SUFS: it invents ridges outside the print.

    Source: Cappelli, "Exploring the power of simple fingerprint recognition networks" and the
    package's documentation (pyfing 0.7). Its wrappers convert results in a way that fails on Keras'
    JAX backend; here its networks are called as pure functions, compiled once per size.
    """
    networks = _load()
    import jax
    import jax.numpy as jnp

    state = [
        [[v.value for v in net.trainable_variables], [v.value for v in net.non_trainable_variables]]
        for net in networks
    ]

    def call(index: int, state: Any, *channels: Any) -> Any:
        image = jnp.stack(channels, axis=-1)[None]
        return networks[index].stateless_call(*state[index], image, training=False)[0][0]

    @jax.jit
    def run(state: Any, image: Any) -> Any:
        grey = jnp.round(255 * image)
        grey = jnp.pad(grey - grey[0, 0], BORDER) + grey[0, 0]
        mask = (call(0, state, grey)[..., 0] >= 0.5).astype(jnp.float32)
        # Angles and periods in the units that the networks were trained with: bytes.
        angle = call(1, state, grey, mask) % jnp.pi
        angle = jnp.clip(jnp.round(angle * 255 / jnp.pi), 0, 255)
        period = jnp.clip(jnp.round(call(2, state, grey, mask, angle)), 0, 255)
        ridges = mask * call(3, state, grey, mask, angle, period)
        return 1 - ridges[BORDER:-BORDER, BORDER:-BORDER]

    return lambda image: np.asarray(run(state, image))


def _load() -> list[Any]:
    os.environ.setdefault("KERAS_BACKEND", "jax")
    try:
        modules = [importlib.import_module(f"pyfing.{module}") for module, _ in _NETWORKS]
        backend = importlib.import_module("keras").backend.backend()
    except ImportError as error:
        raise ValueError(
            f"the enhancer pyfing needs packages that are not installed ({error}): "
            "pip install 'ifvit[enhance]'"
        ) from error
    if backend != "jax":
        raise ValueError(
            f"the enhancer pyfing needs Keras on JAX, which runs on {backend} here: set "
            "KERAS_BACKEND=jax before Keras is imported"
        )
    return [getattr(m, name)().model for m, (_, name) in zip(modules, _NETWORKS, strict=True)]
