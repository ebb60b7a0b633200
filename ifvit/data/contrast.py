"""Faint images brought to the contrast that prints usually have, before anything is measured.

An image of 12 bit in a file of 16, or of a sensor that uses a twentieth of its range, shows the
same ridges as any other, but thresholds on grey values would take it for blank.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, UInt16

USUAL = 0.35
"""Range of grey below which an image is faint. The faintest of 320 prints of four FVC sets has
0.41, so that nothing changes for prints as sensors make them."""

WIDTH = 0.95
"""Range that a faint image is brought to: that of most prints of good contrast."""

LEAST = 0.012
"""Range of grey, three of 255 levels, below which an image is blank."""

SMOOTH = 0.5
"""Share of its range that an image of ridges keeps under a slight blur, at any resolution from 250
ppi on; noise keeps 0.375 of its range, and must not be amplified."""

OUTERMOST = (0.1, 99.9)
"""Percentiles that count as darkest and lightest: dead pixels do not."""


DEPTHS = (255, 1023, 4095)
"""White of 8, 10 and 12 bit, which some files of 16 bit hold without saying so."""


def of_16_bit(values: UInt16[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """Return grey in [0, 1] of an image of 16 bit, or of fewer where none of its values has more.

    The least of :data:`DEPTHS` that holds all values is white, and otherwise 65535.
    """
    largest = int(values.max())
    white = next((most for most in DEPTHS if largest <= most), 65535)
    found = values.astype(np.float32)
    found /= white
    return found


def brought_to_usual(image: Float32[np.ndarray, "H W"]) -> Float32[np.ndarray, "H W"]:
    """Return an image of grey in [0, 1]: stretched if it is faint, otherwise as it is.

    So prints that differ only by brightness and contrast become alike.
    """
    low, high = np.percentile(cv2.GaussianBlur(image, (3, 3), 0.85), OUTERMOST)
    if not LEAST <= high - low < USUAL:
        return image
    noise_low, noise_high = np.percentile(image, OUTERMOST)
    if high - low < SMOOTH * (noise_high - noise_low):
        return image
    scale = WIDTH / (high - low)
    # In place: of the largest images few copies fit.
    stretched = np.multiply(image, np.float32(scale), dtype=np.float32)
    stretched += np.float32((1 - WIDTH) / 2 - scale * low)
    return np.clip(stretched, 0, 1, out=stretched)
