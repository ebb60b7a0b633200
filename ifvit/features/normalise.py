"""From grey values to what the networks see: foreground mask and local contrast normalisation.

Prints are processed in batches, by the same code for synthetic prints on an accelerator and for
real ones from files. Images are (B, H, W) in [0, 1], ridges dark.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxtyping import Bool, Float

from ifvit.geometry.arrays import Arrays
from ifvit.geometry.filters import gaussian_blur

WINDOW_MM = 0.7
"""Standard deviation of the window for local statistics: about one and a half ridge periods."""

FOREGROUND_CONTRAST = 0.3
"""Foreground is where the local contrast exceeds this share of the print's strongest."""

LEAST_CONTRAST = 0.02
"""Local standard deviation, of grey values in [0, 1], below which nothing is taken for ridges."""


class Contrast(NamedTuple):
    """The local statistics of prints (B, H, W): both foreground and normalisation need them."""

    mean: Float[Any, "B H W"]
    deviation: Float[Any, "B H W"]


def contrast(image: Float[Arrays, "B H W"], ppi: int) -> Contrast:
    """Return local mean and standard deviation of images at ``ppi``."""
    library = image.__array_namespace__()
    sigma = WINDOW_MM * ppi / 25.4
    mean = gaussian_blur(image, sigma)
    variance = gaussian_blur(library.square(image - mean), sigma)
    return Contrast(mean, library.sqrt(library.maximum(variance, 0.0) + 1e-8))


def foreground(local: Contrast, ppi: int) -> Bool[Any, "B H W"]:
    """Return the mask of pixels that show ridges: where local contrast is strong.

    ``local`` are the statistics of images at ``ppi``. The threshold is relative to the print's own
    contrast, so faint prints keep theirs; a blank image has no foreground.
    """
    deviation = local.deviation
    library = deviation.__array_namespace__()
    # The deviation is smooth already, so that its maximum is no outlier.
    strong = deviation.max((1, 2), keepdims=True)
    rough = deviation > library.maximum(FOREGROUND_CONTRAST * strong, LEAST_CONTRAST)
    # A second blur closes gaps between ridges and drops specks.
    return gaussian_blur(rough.astype(library.float32), WINDOW_MM * ppi / 25.4) > 0.5


def normalise(
    image: Float[Arrays, "B H W"], mask: Bool[Arrays, "B H W"], local: Contrast
) -> Float[Arrays, "B H W"]:
    """Return the image with local mean 0 and local deviation 1 in the foreground, 0 outside it.

    ``local`` are the image's statistics (:func:`contrast`).
    """
    library = image.__array_namespace__()
    # The floor keeps the noise of flat patches, of wet or missing skin, from being amplified.
    scaled = (image - local.mean) / (local.deviation + 0.03)
    return library.where(mask, library.clip(scaled, -3, 3), 0.0)
