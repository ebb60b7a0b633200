"""What two aligned prints have in common, and Module 2's two views of it.

Everything is drawn in image 0's frame. The global view is the enhanced overlap at the network's
resolution; the local view a square of the original prints at 500 ppi, where both are at their best.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from ifvit.config import REFERENCE_PPI, STRIDE, ModelConfig
from ifvit.features.frame_features import FrameFeatures
from ifvit.features.network_view import Shown, enhanced_view
from ifvit.features.normalise import normalise
from ifvit.features.pose import core_place, upright_of
from ifvit.geometry.grid import cell_mask
from ifvit.geometry.warp import warp_pairs
from ifvit.models.embedding import MatcherInput


def _box_sum(image: Float[Array, "B H W"], side: int) -> Float[Array, "B rows columns"]:
    """Return the sum over each square of ``side`` pixels that lies wholly inside the image."""

    def sums(length: int) -> np.ndarray:
        start = np.arange(length - side + 1)[:, None]
        at = np.arange(length)
        return ((at >= start) & (at < start + side)).astype(np.float32)

    # Two matrix products, as gaussian_blur; window sums are slow to compute otherwise on a CPU.
    _, height, width = image.shape
    exact = jax.lax.Precision.HIGHEST
    return jnp.einsum("ij,bjk,lk->bil", sums(height), image, sums(width), precision=exact)


def place_roi(quality: Float[Array, "B H W"], side: int) -> Int[Array, "B 2"]:
    """Return the corner (x, y) of the square of ``side`` pixels that holds the most quality.

    ``quality`` is 0 outside the overlap. The square lies inside the image; of equal ones the
    nearest to the image's middle is taken, so that an empty overlap gives the middle.
    """
    total = _box_sum(quality, side)
    _, rows, columns = total.shape
    y, x = jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing="ij")
    distance = (x - (columns - 1) / 2) ** 2 + (y - (rows - 1) / 2) ** 2
    # Small beside one pixel of quality: it decides between equals only.
    total = total - 1e-3 * distance / (rows**2 + columns**2)
    best = jnp.argmax(total.reshape(len(total), -1), axis=1)
    return jnp.stack([best % columns, best // columns], axis=-1).astype(jnp.int32)


def crop(
    image: Shaped[Array, "B S S"], corner: Int[Array, "B 2"], side: int, padded: int
) -> Shaped[Array, "B P P"]:
    """Cut a square out of each image at its corner (x, y), with zeros around up to ``padded``."""

    def one(single: Array, at: Array) -> Array:
        return jax.lax.dynamic_slice(single, (at[1], at[0]), (side, side))

    before = (padded - side) // 2
    margin = (before, padded - side - before)
    return jnp.pad(jax.vmap(one)(image, corner), ((0, 0), margin, margin))


def pair_views(
    frames0: FrameFeatures,
    frames1: FrameFeatures,
    H_0to1: Float[np.ndarray, "P 2 3"],
    config: ModelConfig,
) -> tuple[MatcherInput, Float[np.ndarray, "P 4 2"]]:
    """Return Module 2's views of P aligned pairs, and the ROI's corners (x, y) in frame 0.

    The frames' arrays have a leading axis P, the transforms are of their pixels.
    """
    sources = None
    if frames0.source is not None and frames1.source is not None:
        sources = frames0.source, frames1.source
    views, corner = matcher_input(
        frames0.image,
        frames0.mask,
        frames1.image,
        frames1.mask,
        jnp.asarray(H_0to1, jnp.float32),
        config,
        sources,
        frames0.shown,
    )
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * config.roi_px
    return views, np.asarray(corner)[:, None] + square - 0.5


@partial(jax.jit, static_argnames="config")
def matcher_input(
    image0: Float[Array, "B S S"],
    mask0: Bool[Array, "B S S"],
    image1: Float[Array, "B S S"],
    mask1: Bool[Array, "B S S"],
    H_0to1: Float[Array, "B 2 3"],
    config: ModelConfig,
    sources: tuple[Float[Array, "B S S"], Float[Array, "B S S"]] | None = None,
    shown0: Shown | None = None,
    alone: Bool[Array, " B"] | None = None,
) -> tuple[MatcherInput, Int[Array, "B 2"]]:
    """Return Module 2's views of B aligned pairs, and the ROI's corner (x, y) in image 0.

    Images are grey canvases at 500 ppi in [0, 1], masks their foregrounds
    and ``H_0to1`` in 500-ppi pixels. The print is warped before it is enhanced, so that it is
    interpolated once, and enhanced before it is cut to the overlap, so that the filter sees beyond
    the cut. With ``sources``, the global view is of them, warped alike and not enhanced here
    (:mod:`ifvit.features.enhancer`). ``shown0`` is print 0 enhanced, where that has been done
    already. ``alone`` says which pairs are upright prints by themselves (:func:`upright_of`):
    their ROI lies about the core, the same place in every template of a finger. S is
    ``frame_side(config)`` or more: the global view is then the canvas of ``config`` about the
    overlap's middle, as large as Module 2 knows it.
    """
    drawn1, inside1 = warp_pairs(image1, mask1, H_0to1)
    shown = image0, drawn1
    if sources is not None:
        shown = sources[0], warp_pairs(sources[1], mask1, H_0to1)[0]
    shown0, shown1 = _both_shown(shown, (mask0, inside1), config, sources is None, shown0)
    overlap = shown0.mask & shown1.mask

    factor, side = REFERENCE_PPI // config.ppi, config.roi_px
    # How clear the ridges are in the worse of the two prints.
    quality = jnp.where(overlap, jnp.minimum(shown0.coherence, shown1.coherence), 0.0)
    corner = factor * place_roi(quality, min(-(-side // factor), config.canvas))
    if alone is not None:
        corner = jnp.where(alone[:, None], _core_corner(image0.shape[-1], side, factor), corner)
    padded = -(-side // STRIDE) * STRIDE
    # Both prints as one batch: the same work, compiled once.
    images, masks = jnp.concatenate([image0, drawn1]), jnp.concatenate([mask0, inside1])
    local = crop(normalise(images, masks, REFERENCE_PPI), jnp.tile(corner, (2, 1)), side, padded)
    shared = crop((mask0 & inside1).astype(image0.dtype), corner, side, padded) > 0.5

    local0, local1 = jnp.split(local, 2)
    common = [jnp.where(overlap, shown.image, 0.0) for shown in (shown0, shown1)]
    global0, global1, seen = _about_overlap(overlap, [*common, overlap], config.canvas)
    global_mask, local_mask = cell_mask(seen), cell_mask(shared)
    views = MatcherInput(
        global0=global0,
        global1=global1,
        global_mask0=global_mask,
        global_mask1=global_mask,
        local0=jnp.where(shared, local0, 0.0),
        local1=jnp.where(shared, local1, 0.0),
        local_mask0=local_mask,
        local_mask1=local_mask,
    )
    return views, corner


@partial(jax.jit, static_argnames="config")
def template_input(canvases: FrameFeatures, config: ModelConfig) -> MatcherInput:
    """Return Module 2's views of P prints by themselves, each upright: (print, print).

    The canvases' arrays have a leading axis P.
    """
    laid = upright_of(canvases.shown, config)
    image, mask = warp_pairs(canvases.image, canvases.mask, laid)
    sources = None
    if canvases.source is not None:
        source, _ = warp_pairs(canvases.source, canvases.mask, laid)
        sources = source, source
    count = len(image)
    still, alone = jnp.tile(jnp.eye(2, 3), (count, 1, 1)), jnp.ones(count, bool)
    views, _ = matcher_input(image, mask, image, mask, still, config, sources, alone=alone)
    return views


def _about_overlap(overlap: Bool[Array, "B H W"], images: list[Array], side: int) -> list[Array]:
    """Cut the square of ``side`` pixels about the overlap's middle out of images, cell by cell."""
    size = overlap.shape[-1]
    if size == side:
        return images
    count = jnp.maximum(overlap.sum((1, 2)), 1)
    along = jnp.arange(size) + 0.5
    middle = jnp.stack([overlap.sum(1) @ along, overlap.sum(2) @ along], axis=-1) / count[:, None]
    corner = STRIDE * jnp.round((middle - side / 2) / STRIDE).astype(jnp.int32)
    corner = jnp.clip(corner, 0, size - side)
    return [crop(image, corner, side, side) for image in images]


def _core_corner(frame: int, side: int, factor: int) -> Int[np.ndarray, "2"]:
    """Return the corner (x, y) of a square of ``side`` px about the core of an upright print."""
    corner = np.array(core_place(frame)) - (side - 1) / 2
    return (factor * np.clip(np.round(corner / factor), 0, (frame - side) // factor)).astype(int)


def _both_shown(
    images: tuple[Float[Array, "B S S"], Float[Array, "B S S"]],
    masks: tuple[Bool[Array, "B S S"], Bool[Array, "B S S"]],
    config: ModelConfig,
    filtered: bool,
    shown0: Shown | None,
) -> tuple[Shown, Shown]:
    """Return both prints on the network's canvas; the first may have been made already."""
    if shown0 is not None:
        return shown0, enhanced_view(images[1], masks[1], config, filtered)
    both = enhanced_view(jnp.concatenate(images), jnp.concatenate(masks), config, filtered)
    first, second = zip(*(jnp.split(array, 2) for array in both), strict=True)
    return Shown(*first), Shown(*second)
