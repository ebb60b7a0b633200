"""Faint images brought to the contrast that prints usually have, before anything is measured.

A frame of 12 bit in a file of 16, or a sensor that uses a twentieth of its range, shows the same
ridges as any other: only thresholds on grey would call it blank.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32

USUAL = 0.35
"""Range of grey below which an image is faint. The faintest of 320 prints of four FVC sets has
0.41, so that nothing changes for prints as sensors make them."""

WIDTH = 0.95
"""Range that a faint image is brought to: that of most prints of good contrast."""

LEAST = 0.012
"""Three of 255 levels: what has less is blank."""

SMOOTH = 0.5
"""Share of its range that an image of ridges keeps under a slight blur, of any resolution from 250
ppi on; noise keeps 0.375 of it, and is not to be made larger."""

OUTERMOST = (0.1, 99.9)
"""Percentiles that count as darkest and lightest: dead pixels do not."""


def brought_to_usual(image: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """Return an image of grey in [0, 1], a faint one stretched; all others as they are.

    So prints that differ by brightness and contrast alone come out alike.
    """
    smooth = cv2.GaussianBlur(image, (3, 3), 0.85)
    low, high = np.percentile(smooth, OUTERMOST)
    if not LEAST <= high - low < USUAL:
        return image
    noise_low, noise_high = np.percentile(image, OUTERMOST)
    if high - low < SMOOTH * (noise_high - noise_low):
        return image
    stretched = (1 - WIDTH) / 2 + WIDTH * (image - low) / (high - low)
    return np.clip(stretched, 0, 1).astype(np.float32)
