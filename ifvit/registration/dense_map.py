"""Module 1 asked where one print's cells lie in another that is drawn through transforms."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ifvit.features.frame_features import FeatureMap, FrameFeatures
from ifvit.features.network_view import frame_foreground, network_view
from ifvit.geometry.grid import cell_mask
from ifvit.geometry.warp import warp, warp_pairs
from ifvit.models.dense_reg import DenseRegModel


def of_frames(
    model: DenseRegModel, frames0: Array, frames1: Array, transforms: Array
) -> Float[Array, "B N M"]:
    """Run Module 1 on B pairs, each image 1 drawn through its own transform."""
    masks0 = frame_foreground(frames0, model.config)
    warped, inside = warp_pairs(frames1, frame_foreground(frames1, model.config), transforms)
    image0, mask0 = network_view(frames0, masks0, model.config)
    image1, mask1 = network_view(warped, inside, model.config)
    return model(image0, image1, cell_mask(mask0), cell_mask(mask1)).log_p


def of_turned(
    model: DenseRegModel,
    map0: FeatureMap,
    frames1: FrameFeatures,
    transforms: Float[Array, "P A 2 3"],
    fields: Float[Array, "P A h w 2"] | None = None,
) -> Float[Array, "P A N M"]:
    """Run Module 1 on the maps of P images 0, and on each image 1 drawn through A transforms.

    ``fields`` is what is added to the place of each cell of the drawn image before its transform.
    """
    (pairs, count), config = transforms.shape[:2], model.config
    warped, inside = jax.vmap(warp)(frames1.image, frames1.mask, transforms, fields)
    image1, mask1 = network_view(
        warped.reshape(-1, *warped.shape[2:]),
        inside.reshape(-1, *inside.shape[2:]),
        config,
    )
    each0, cells0 = (jnp.repeat(array, count, axis=0) for array in map0)
    log_p = model.match_maps(each0, model.ResNet18(image1)[0], cells0, cell_mask(mask1)).log_p
    return log_p.reshape(pairs, count, *log_p.shape[1:])
