"""One print's ridges laid in the other's frame, and how well both agree there.

Points and displacements are in frame pixels at 500 ppi; images at the network's resolution.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.features.frame_features import Ridges
from ifvit.geometry.transforms import coarser
from ifvit.geometry.warp import warp


def network_transform(H: Float[Array, "*A 2 3"], config: ModelConfig) -> Float[Array, "*A 2 3"]:
    """Return a transform of pixels at 500 ppi as one of the network's pixels."""
    return coarser(H, REFERENCE_PPI / config.ppi)


def laid_on(
    ridges: Ridges, H: Float[Array, "2 3"], displacement: Float[Array, "h w 2"], config: ModelConfig
) -> Ridges:
    """Draw a print in the other's frame through displacement and transform, bilinear."""
    field = displacement * config.ppi / REFERENCE_PPI
    drawn = warp(ridges.image, ridges.mask, network_transform(H, config)[None], field[None])
    image, inside = drawn[0][0], drawn[1][0]
    return Ridges(jnp.where(inside, image, 0.0), inside)


def agreement(
    ridges0: Ridges,
    ridges1: Ridges,
    H: Float[Array, "2 3"],
    displacement: Float[Array, "h w 2"],
    config: ModelConfig,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return NCC over the overlap, and the overlap's share of the frame."""
    laid = laid_on(ridges1, H, displacement, config)
    mask = ridges0.mask & laid.mask
    image0, image1 = jnp.where(mask, ridges0.image, 0.0), jnp.where(mask, laid.image, 0.0)
    power = (image0**2).sum() * (image1**2).sum()
    return (image0 * image1).sum() / jnp.sqrt(jnp.maximum(power, 1.0)), mask.mean()
