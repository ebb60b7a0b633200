"""The engine for training and accelerators: the models themselves, compiled by JAX."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from ifvit.files import sha256_of
from ifvit.jax_settings import usual_promotion
from ifvit.models.dense_reg import DenseRegModel
from ifvit.models.embedding import MatcherModel
from ifvit.runtime.calls import NOT_SENT, CellMatches, CellPoses, CodedPrints
from ifvit.shapes import check_mask_shape, check_print_shapes
from ifvit.weights.modules import check_same_shape, load_modules
from ifvit.weights.pretrained import module_files
from ifvit.weights.tensors import state_sha256


def compiled(model: nnx.Module, function: Callable[..., Any]) -> Callable[..., Any]:
    """Bind ``function(model, ...)`` to a model's weights; it is traced once per shape of the other
    arguments."""
    graph, state = nnx.split(model)

    @usual_promotion()
    @jax.jit
    def run(state: Any, *args: Any) -> Any:
        return function(nnx.merge(graph, state), *args)

    return partial(run, state)


class JaxEngine:
    """Both modules in memory; see :class:`ifvit.runtime.calls.Engine`.

    Each call is compiled once for each shape.
    """

    def __init__(
        self,
        dense: DenseRegModel,
        matcher: MatcherModel | None = None,
        sha256: tuple[str, str] = ("", ""),
    ) -> None:
        """Take both models, used in eval mode, and the sha256 of their checkpoints, if any.

        Without Module 2, prints can only be registered. Where no sha256 of a checkpoint is given,
        that of the weights themselves is computed. Raises ValueError where the models differ in
        shape.
        """
        self.config = dense.config
        self.dense_sha256 = sha256[0] or state_sha256(dense)
        self.matcher_sha256 = ""
        module1 = nnx.view(dense, use_running_average=True)
        self._backbone = compiled(module1, _features)
        self._dense = compiled(module1, _cell_matches)
        if matcher is not None:
            check_same_shape(dense, matcher)
            self.matcher_sha256 = sha256[1] or state_sha256(matcher)
            module2 = nnx.view(matcher, use_running_average=True)
            self._pose = compiled(module2, MatcherModel.pose)
            self._code = compiled(module2, _coded)

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied: raises TypeError."""
        raise TypeError(NOT_SENT)

    @classmethod
    @usual_promotion()
    def from_checkpoints(
        cls, dense_ckpt: str | Path | None = None, matcher_ckpt: str | Path | None = None
    ) -> JaxEngine:
        """Load both modules, which must belong together, or those that ship with ifvit.

        Raises FileNotFoundError and ValueError as ``load_modules`` and ``module_files`` do.
        """
        files = module_files(dense_ckpt, matcher_ckpt)
        (dense, _), (matcher, _) = load_modules(*files)
        return cls(dense, matcher, (sha256_of(files.dense), sha256_of(files.matcher)))

    def backbone(self, image: Float[np.ndarray, "B H W"]) -> Float[np.ndarray, "B h w D"]:
        """Return Module 1's feature maps of B prints. Raises ValueError for other shapes."""
        return np.asarray(self._backbone(image))

    def dense(
        self,
        features0: Float[np.ndarray, "B h0 w0 D"],
        features1: Float[np.ndarray, "B h1 w1 D"],
        mask0: Bool[np.ndarray, "B _ _"],
        mask1: Bool[np.ndarray, "B _ _"],
    ) -> CellMatches:
        """Match the cells of B pairs by Module 1. Raises ValueError for masks of other shapes."""
        check_mask_shape(mask0.shape, features0.shape[:3])
        check_mask_shape(mask1.shape, features1.shape[:3])
        return CellMatches(*map(np.asarray, self._dense(features0, features1, mask0, mask1)))

    def pose(self, image: Float[np.ndarray, "B H W"], mask: Bool[np.ndarray, "B _ _"]) -> CellPoses:
        """Look for the core of B prints by Module 2. Raises ValueError for other shapes."""
        check_print_shapes(image.shape, mask.shape)
        return CellPoses(*map(np.asarray, self._pose(image, mask)))

    def code(
        self, image: Float[np.ndarray, "B H W"], mask: Bool[np.ndarray, "B _ _"]
    ) -> CodedPrints:
        """Return the codes of B prints in their poses. Raises ValueError for other shapes."""
        check_print_shapes(image.shape, mask.shape)
        return CodedPrints(*map(np.asarray, self._code(image, mask)))


def _features(model: DenseRegModel, image: Float[Array, "B H W"]) -> Float[Array, "B h w D"]:
    return model.ResNet18(image)[0]


def _cell_matches(
    model: DenseRegModel,
    features0: Float[Array, "B h0 w0 D"],
    features1: Float[Array, "B h1 w1 D"],
    mask0: Bool[Array, "B h0 w0"],
    mask1: Bool[Array, "B h1 w1"],
) -> tuple[Array, ...]:
    return model.cell_matches(features0, features1, mask0, mask1)


def _coded(
    model: MatcherModel, image: Float[Array, "B H W"], mask: Bool[Array, "B h w"]
) -> tuple[Array, Array]:
    made = model.encode(image, mask)
    return made.cells, made.index
