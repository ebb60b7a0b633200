"""One print, from its file to the network's canvas: read, resample, find the finger, centre.

Everything here is numpy and runs once per file; the exact foreground mask and the local contrast
normalisation come afterwards, in JAX, in ``ifvit.features.normalise``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int32

from ifvit.config import REFERENCE_PPI, ModelConfig
from ifvit.data.damage import PrintError, check_extent
from ifvit.data.images import read_image

logger = logging.getLogger("ifvit")

MIN_PPI, MAX_PPI = 100, 4000
"""Below 100 ppi a ridge period (0.46 mm) is under two pixels: ridges cannot be told apart."""

WINDOW_MM = 0.8
"""Side of the window of the local contrast: just under two ridge periods, so that every position
sees both ridge and valley."""
MIN_CONTRAST = 0.04
"""Local standard deviation (of 0..1) that counts as ridges: 10 of 255 grey levels, above the noise
of a sensor and the blocks of a JPEG, below the faintest print of FVC2000 DB2 (0.06 to 0.09)."""
MIN_AREA_MM2 = 4.0
"""Anything smaller than 2 mm × 2 mm is dirt, not a print."""

SECOND = 0.4
"""Share of the largest area from which another one counts as a finger of its own."""


@dataclass(frozen=True)
class Print:
    """One impression of one finger, as a data set lists it."""

    dataset: str
    finger: str
    impression: str
    path: Path
    ppi: int
    """Resolution of the file in pixels per inch."""


def check_ppi(ppi: object) -> None:
    """Raise ValueError for what is no number from 100 to 4000, pixels per inch."""
    if not isinstance(ppi, Real) or not MIN_PPI <= float(ppi) <= MAX_PPI:
        raise ValueError(
            f"a resolution of {ppi!r} ppi cannot be right: expected {MIN_PPI} to {MAX_PPI} ppi, "
            "and 500 for most sensors; set it with --ppi"
        )


def resample(
    image: Float32[np.ndarray, "H W"], ppi: float, to_ppi: float
) -> Float32[np.ndarray, "h w"]:
    """Change the resolution from ``ppi`` to ``to_ppi``, both in pixels per inch.

    A point (x, y) moves to ((x + 0.5)·s - 0.5, (y + 0.5)·s - 0.5) with s = to_ppi / ppi, up to
    the rounding of the sides to whole pixels. Both ways are by Lanczos' filter, and what is to
    shrink is blurred first (:func:`unaliased`): means over areas, at a ratio near 1, would blur one
    row and not the next. Values stay within 0..1. Raises ValueError as :func:`check_ppi`.
    """
    check_ppi(ppi)
    check_ppi(to_ppi)
    if ppi == to_ppi:
        return image
    scale = to_ppi / ppi
    height, width = (max(1, round(side * scale)) for side in image.shape)
    smooth = unaliased(image, 1 / scale)
    made = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LANCZOS4)
    # Lanczos' filter overshoots at the edges of ridges.
    return np.clip(made, 0, 1).astype(np.float32)


def unaliased(image: Float32[np.ndarray, "H W"], step: float) -> Float32[np.ndarray, "H W"]:
    """Blur an image that is read every ``step`` pixels next, so that finer detail is no alias."""
    if step <= 1:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5 * float(np.sqrt(step**2 - 1))))


def print_at(
    pixels: Float32[np.ndarray, "H W"], ppi: float | None, to_ppi: float, name: str | Path
) -> Float32[np.ndarray, "h w"]:
    """Return a print that was read, at the resolution ``to_ppi``; its own is 500 if not given.

    Raises as :func:`resample` and :func:`ifvit.data.damage.check_extent`, before anything is drawn.
    """
    own = REFERENCE_PPI if ppi is None else ppi
    check_ppi(own)
    check_extent(pixels.shape, own, name)
    return resample(pixels, own, to_ppi)


def ridge_area(image: Float32[np.ndarray, "H W"], ppi: float) -> Bool[np.ndarray, "H W"]:
    """Mark the largest connected area with the contrast of ridges; all False where there is none.

    Coarse, for finding and centring the finger only: ``ifvit.features.normalise.foreground`` is the
    mask that the network sees.
    """
    return ridges_and_fingers(image, ppi)[0]


def fingers_in(image: Float32[np.ndarray, "H W"], ppi: float) -> int:
    """Count the areas of ridges that are large enough to be a finger each; 0 for a blank image.

    The largest, and those with at least :data:`SECOND` of its size: a slap has several, and so have
    two prints scanned on one sheet.
    """
    return ridges_and_fingers(image, ppi)[1]


def ridges_and_fingers(
    image: Float32[np.ndarray, "H W"], ppi: float
) -> tuple[Bool[np.ndarray, "H W"], int]:
    """Return :func:`ridge_area` and :func:`fingers_in` of an image, computed together."""
    labels, areas = _areas(image, ppi)
    least, largest = MIN_AREA_MM2 * (ppi / 25.4) ** 2, areas.max(initial=0)
    count = int((areas >= max(least, SECOND * largest)).sum())
    if areas.size == 0 or largest < least:
        return np.zeros(image.shape, dtype=bool), count
    return np.asarray(labels == 1 + int(areas.argmax())), count


def warn_of_several(fingers: int, name: str | Path) -> None:
    """Warn where an image shows more than one finger, of which only one is used."""
    if fingers > 1:
        logger.warning(
            "%s shows %d areas of ridges, each as large as a finger: the largest is used; cut out "
            "the one that is meant",
            *(name, fingers),
        )


def _areas(
    image: Float32[np.ndarray, "H W"], ppi: float
) -> tuple[Int32[np.ndarray, "H W"], Int32[np.ndarray, " R"]]:
    """Return the connected areas with the contrast of ridges, numbered from 1, and their sizes."""
    window = max(3, round(WINDOW_MM * ppi / 25.4))
    mean = cv2.blur(image, (window, window))
    variance = cv2.blur(image * image, (window, window)) - mean * mean
    contrast = np.sqrt(np.maximum(variance, 0))
    # A quarter of the strongest contrast leaves out smudges and latent residue beside the finger.
    threshold = max(MIN_CONTRAST, 0.25 * float(np.percentile(contrast, 95)))
    kernel = np.ones((window, window), np.uint8)
    ridges = cv2.morphologyEx((contrast > threshold).astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ridges, connectivity=4)
    return np.asarray(labels, np.int32), np.asarray(stats[1:, cv2.CC_STAT_AREA], np.int32)


def centred(
    image: Float32[np.ndarray, "H W"],
    side: int,
    middle: tuple[float, float] | None = None,
    ppi: float = ModelConfig.ppi,
) -> tuple[Float32[np.ndarray, "{side} {side}"], tuple[int, int]]:
    """Crop or pad to a square of ``side`` pixels with the finger in its middle.

    ``middle`` is the finger's (x, y); without it, it is :func:`ridge_middle` of
    ``ridge_area(image, ppi)``. Returns the canvas and the offset (x0, y0) in whole
    pixels: ``canvas[y, x] == image[y + y0, x + x0]`` wherever the image reaches.
    Beyond the image the canvas has :func:`border_grey`.
    """
    x, y = ridge_middle(ridge_area(image, ppi)) if middle is None else middle
    corner = round(x - (side - 1) / 2), round(y - (side - 1) / 2)
    return cropped(image, side, corner), corner


def cropped(
    image: Float32[np.ndarray, "H W"], side: int, corner: tuple[int, int]
) -> Float32[np.ndarray, "{side} {side}"]:
    """Cut the square of ``side`` pixels from ``corner`` (x0, y0) on, which may lie outside."""
    (height, width), (x0, y0) = image.shape, corner
    canvas = np.full((side, side), border_grey(image), dtype=np.float32)
    top, bottom = max(0, -y0), min(side, height - y0)
    left, right = max(0, -x0), min(side, width - x0)
    # A finger's middle lies inside the image, so the two always overlap.
    canvas[top:bottom, left:right] = image[top + y0 : bottom + y0, left + x0 : right + x0]
    return canvas


def ridge_middle(ridges: Bool[np.ndarray, "H W"]) -> tuple[float, float]:
    """Return the centroid (x, y) of a mask of ridges; the image's middle where there are none."""
    along, down = (np.count_nonzero(ridges, axis=axis) for axis in (0, 1))
    if not along.any():
        return (ridges.shape[1] - 1) / 2, (ridges.shape[0] - 1) / 2
    x, y = (float(np.arange(len(count)) @ count / count.sum()) for count in (along, down))
    return x, y


def border_grey(image: Float32[np.ndarray, "H W"]) -> float:
    """Return the grey value by which an image is extended: the median of its border.

    It continues a clean background without a step. Where the finger runs over the border it is the
    grey between ridge and valley, which is the smallest possible step. White would make an edge in
    both cases.
    """
    border = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
    return float(np.median(border))


def read_print(
    path: str | Path, ppi: float | None = None, to_ppi: float = ModelConfig.ppi
) -> Float32[np.ndarray, "H W"]:
    """Read a print at the network's resolution, uncropped; ridges dark, values 0..1.

    ``ppi`` is the file's resolution, 500 when not given; tags inside files are never believed (the
    FVC's say 1). Raises as :func:`read_image` and :func:`resample` do, and ValueError where the
    image shows no fingerprint.
    """
    return _image_and_ridges(path, ppi, to_ppi)[0]


def load_canvas(
    path: str | Path,
    ppi: float | None = None,
    to_ppi: float = ModelConfig.ppi,
    side: int = ModelConfig.canvas,
) -> Float32[np.ndarray, "{side} {side}"]:
    """Read a print onto the network's canvas: :func:`read_print`, then :func:`centred`.

    Raises as :func:`read_print` does.
    """
    image, ridges = _image_and_ridges(path, ppi, to_ppi)
    return centred(image, side, ridge_middle(ridges))[0]


def _image_and_ridges(
    path: str | Path, ppi: float | None, to_ppi: float
) -> tuple[np.ndarray, np.ndarray]:
    image = print_at(read_image(path), ppi, to_ppi, path)
    return image, check_ridges(ridge_area(image, to_ppi), path)


def check_ridges(ridges: Bool[np.ndarray, "H W"], path: str | Path) -> Bool[np.ndarray, "H W"]:
    """Return the mask of a print's ridges; raises ValueError, naming ``path``, for an empty one."""
    if not ridges.any():
        raise PrintError(
            f"no fingerprint found in {path}: expected an area of ridges of at least 2 × 2 mm, "
            "but the image is blank or nearly so; scan the finger again, or check --ppi"
        )
    return ridges
