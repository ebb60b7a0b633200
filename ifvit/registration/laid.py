"""One print's ridges laid in the other's frame, and how well both agree there.

Points and displacements are in frame pixels at 500 ppi; images at the network's resolution.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.features.frame_features import Ridges
from ifvit.geometry.transforms import coarser
from ifvit.geometry.warp import warp


def network_transform(
    H: Float[np.ndarray, "*A 2 3"], config: ModelConfig
) -> Float[np.ndarray, "*A 2 3"]:
    """Return a transform of pixels at 500 ppi as one of the network's pixels."""
    return coarser(H, REFERENCE_PPI / config.ppi)


def warp_ridges(
    ridges: Ridges,
    H: Float[np.ndarray, "2 3"],
    displacement: Float[np.ndarray, "h w 2"],
    config: ModelConfig,
) -> Ridges:
    """Draw a print in the other's frame through displacement and transform, bilinear."""
    field = displacement * config.ppi / REFERENCE_PPI
    drawn, inside = warp(*ridges, network_transform(H, config)[None], field[None])
    return Ridges(np.where(inside[0], drawn[0], np.float32(0)), inside[0])


def agreement(
    ridges0: Ridges,
    ridges1: Ridges,
    H: Float[np.ndarray, "2 3"],
    displacement: Float[np.ndarray, "h w 2"],
    config: ModelConfig,
) -> tuple[float, float]:
    """Return NCC over the overlap, and the overlap's share of the frame."""
    laid = warp_ridges(ridges1, H, displacement, config)
    mask = ridges0.mask & laid.mask
    image0, image1 = ridges0.image[mask].astype(float), laid.image[mask].astype(float)
    power = (image0 @ image0) * (image1 @ image1)
    return float(image0 @ image1 / np.sqrt(max(power, 1.0))), float(mask.mean())
