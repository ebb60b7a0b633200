"""Contextual enhancement: every pixel filtered along its own ridge, at its own ridge period.

Source: Hong, Wan and Jain, "Fingerprint image enhancement: algorithm and performance evaluation",
IEEE TPAMI 20(8), 1998; orientation by the averaged squared gradients of Kass and Witkin, "Analyzing
oriented patterns", CVGIP 37(3), 1987. Orientation is the direction along the ridge, radians modulo
pi, in image coordinates (x right, y down).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ifvit.config import REFERENCE_PPI
from ifvit.geometry.arrays import Arrays
from ifvit.geometry.filters import gaussian_blur
from ifvit.geometry.gabor import oriented_filter

FLOW_SIGMA_PX = 8.0
"""Standard deviation of the window in which squared gradients are averaged, pixels at 500 ppi:
about one ridge period."""

PERIOD_SIGMA_PX = 24.0
"""Standard deviation of the window in which the ridge period is averaged: it varies far more slowly
than the orientation."""

PERIOD_RANGE_PX = (6.0, 13.0)
"""Ridge periods of human fingers at 500 ppi, children to large hands."""

CONTRAST_SIGMA_PX = 12.0

NOISE = 0.05
"""Filter response below which contrast is not raised further, since there is no ridge."""


class Enhanced(NamedTuple):
    """An enhanced print (B, H, W) and what it was enhanced by.

    ``image``: normalised, ridges low, about unit variance inside the mask, 0 outside;
    ``orientation`` in radians along the ridge; ``period`` in pixels; ``coherence`` in [0, 1], how
    much one direction dominates, 0 outside the mask.
    """

    image: Float[Any, "B H W"]
    orientation: Float[Any, "B H W"]
    period: Float[Any, "B H W"]
    coherence: Float[Any, "B H W"]


def _gradient(image: Arrays, mask: Arrays) -> tuple[Arrays, Arrays]:
    """Return the derivatives along x and y, 0 where a neighbour lies outside the mask."""
    library = image.__array_namespace__()
    smooth = gaussian_blur(image, 0.8)
    grad_y, grad_x = library.gradient(smooth, axis=(-2, -1))
    # The mask's border would otherwise be the strongest line of the image.
    inside = gaussian_blur(mask.astype(image.dtype), 0.8) > 0.999
    return library.where(inside, grad_x, 0.0), library.where(inside, grad_y, 0.0)


def flow(
    image: Float[Arrays, "B H W"], mask: Bool[Arrays, "B H W"], ppi: int
) -> tuple[Float[Arrays, "B H W"], Float[Arrays, "B H W"]]:
    """Return the orientation along the ridges and its coherence, from a normalised print."""
    library = image.__array_namespace__()
    grad_x, grad_y = _gradient(image, mask)
    sigma = FLOW_SIGMA_PX * ppi / REFERENCE_PPI
    double_cos = gaussian_blur(grad_x**2 - grad_y**2, sigma)
    double_sin = gaussian_blur(2 * grad_x * grad_y, sigma)
    energy = gaussian_blur(grad_x**2 + grad_y**2, sigma)
    across = 0.5 * library.arctan2(double_sin, double_cos)
    coherence = library.hypot(double_cos, double_sin) / library.maximum(energy, 1e-6)
    return across + np.pi / 2, library.where(mask, coherence, 0.0)


def ridge_period(
    image: Float[Arrays, "B H W"], mask: Bool[Arrays, "B H W"], ppi: int
) -> Float[Arrays, "B H W"]:
    """Return a smooth estimate of the ridge period in pixels, within :data:`PERIOD_RANGE_PX`.

    For a wave of frequency f the squared difference of neighbouring pixels is 4 sin²(πf) times the
    wave's power, so the ratio of the two gives f without a search for a peak. A difference of
    Gaussians narrows the band first, so that pixel noise does not count as fine ridges.
    """
    library = image.__array_namespace__()
    scale = ppi / REFERENCE_PPI
    band = gaussian_blur(image, 1.6 * scale) - gaussian_blur(image, 8.0 * scale)
    inside = mask.astype(image.dtype)
    step_x = (band[..., :, 1:] - band[..., :, :-1]) * inside[..., :, 1:] * inside[..., :, :-1]
    step_y = (band[..., 1:, :] - band[..., :-1, :]) * inside[..., 1:, :] * inside[..., :-1, :]
    steps = library.pad(step_x**2, ((0, 0), (0, 0), (0, 1)))
    steps = steps + library.pad(step_y**2, ((0, 0), (0, 1), (0, 0)))
    sigma = PERIOD_SIGMA_PX * scale
    power = gaussian_blur(band**2 * inside, sigma)
    ratio = gaussian_blur(steps, sigma) / library.maximum(power, 1e-6)
    frequency = library.arcsin(library.sqrt(library.clip(ratio / 4, 1e-4, 1.0))) / np.pi
    low, high = PERIOD_RANGE_PX
    return library.clip(1.0 / frequency, low * scale, high * scale)


def enhance(image: Float[Arrays, "B H W"], mask: Bool[Arrays, "B H W"], ppi: int) -> Enhanced:
    """Enhance normalised prints (B, H, W) of one resolution, batched; see :class:`Enhanced`."""
    library = image.__array_namespace__()
    image = library.where(mask, image, 0.0)
    orientation, coherence = flow(image, mask, ppi)
    period = ridge_period(image, mask, ppi)
    ridges = oriented_filter(image, orientation, period, mask)
    sigma = CONTRAST_SIGMA_PX * ppi / REFERENCE_PPI
    share = library.maximum(gaussian_blur(mask.astype(image.dtype), sigma), 1e-3)
    power = gaussian_blur(ridges**2, sigma) / share
    even = ridges / library.sqrt(power + NOISE**2)
    return Enhanced(even, orientation, period, coherence)


def unfiltered(image: Float[Arrays, "B H W"], mask: Bool[Arrays, "B H W"], ppi: int) -> Enhanced:
    """Return normalised prints as they are, with flow and period measured as in :func:`enhance`."""
    library = image.__array_namespace__()
    image = library.where(mask, image, 0.0)
    orientation, coherence = flow(image, mask, ppi)
    return Enhanced(image, orientation, ridge_period(image, mask, ppi), coherence)
