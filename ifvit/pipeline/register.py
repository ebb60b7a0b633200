"""Module 1 at work: a print onto its canvas, and two canvases onto each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from ifvit.config import REFERENCE_PPI
from ifvit.data.normalise import cell_mask
from ifvit.data.pairs import frame_side
from ifvit.data.prints import load_canvas
from ifvit.models.registration import DenseRegModel
from ifvit.pipeline.align import ALIGN_CONFIG, AlignConfig, Alignment, align, warp
from ifvit.pipeline.overlap import foreground_mask, network_view


class Canvas(NamedTuple):
    """A print ready to be matched: grey at 500 ppi in [0, 1], ridges dark, and its foreground."""

    image: Float[Array, "S S"]
    mask: Bool[Array, "S S"]


def compiled(model: nnx.Module, function: Callable[..., Any]) -> Callable[..., Any]:
    """Bind ``function(model, ...)`` to a model's weights, traced once per shape of the rest."""
    graph, state = nnx.split(model)

    @jax.jit
    def run(state: Any, *args: Any) -> Any:
        return function(nnx.merge(graph, state), *args)

    return lambda *args: run(state, *args)


class Registrar:
    """A trained Module 1, ready to align prints. Compiles once, then serves any number."""

    def __init__(self, dense: DenseRegModel, align_config: AlignConfig = ALIGN_CONFIG) -> None:
        """Take the model, which is used in eval mode.

        Raises ValueError where its resolution does not divide 500 ppi.
        """
        self.config = dense.config
        self.align_config = align_config
        self.side = frame_side(self.config)
        self._log_p = compiled(nnx.view(dense, use_running_average=True), self._dense_log_p)

    def load(self, path: str | Path, ppi: int | None = None) -> Float[np.ndarray, "S S"]:
        """Read a print from a file onto the canvas that :meth:`prepare` takes.

        ``ppi`` is the file's resolution, 500 if not given. Raises as ``load_canvas`` does.
        """
        return load_canvas(path, ppi, REFERENCE_PPI, self.side)

    def prepare(self, image: Float[np.ndarray, "H W"]) -> Canvas:
        """Find a canvas's foreground, once per print however often it is matched.

        Raises ValueError for an array that is not a canvas of this model's size.
        """
        image = np.asarray(image, np.float32)
        if image.shape != (self.side, self.side) or not np.isfinite(image).all():
            raise ValueError(
                f"canvas of shape {image.shape}: expected finite grey values of shape "
                f"({self.side}, {self.side}) at {REFERENCE_PPI} ppi; Registrar.load makes one"
            )
        grey = jnp.asarray(image)
        return Canvas(grey, foreground_mask(grey, REFERENCE_PPI))

    def align(self, canvas0: Canvas, canvas1: Canvas) -> Alignment:
        """Register two prints by Module 1 alone; coordinates in canvas pixels at 500 ppi."""
        return align(
            lambda H: self._log_p(canvas0, canvas1, jnp.asarray(H, jnp.float32)),
            self.config,
            self.align_config,
        )

    def _dense_log_p(
        self,
        model: DenseRegModel,
        canvas0: Canvas,
        canvas1: Canvas,
        transforms: Float[Array, "A 2 3"],
    ) -> Float[Array, "A N M"]:
        """Run Module 1 on image 0 and on image 1 drawn through each transform, at 500 ppi."""
        image0, mask0 = network_view(canvas0.image[None], canvas0.mask[None], self.config)
        warped, inside = warp(canvas1.image, canvas1.mask, transforms)
        image1, mask1 = network_view(warped, inside, self.config)
        cells0 = cell_mask(mask0)
        return model(
            jnp.broadcast_to(image0, image1.shape),
            image1,
            jnp.broadcast_to(cells0, (len(transforms), *cells0.shape[1:])),
            cell_mask(mask1),
        ).log_p
