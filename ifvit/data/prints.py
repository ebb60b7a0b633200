"""One print, from its file to the network's canvas: decode, resample, find the finger, centre.

Everything here is numpy and runs once per file; the exact foreground mask and the local contrast
normalisation come afterwards, in JAX, in ``ifvit.data.normalise``.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float32
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ifvit.config import REFERENCE_PPI, ModelConfig

FORMATS = ("PNG", "TIFF", "BMP", "JPEG")
MIN_SIDE, MAX_SIDE = 64, 4096
"""Sides in pixels of an image that is read. 64 px at 500 ppi are 3.3 mm, a third of a fingertip;
4096 px at 1000 ppi are 104 mm, a whole hand."""
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


class PrintError(ValueError):
    """A file that cannot serve as a print; the message is one line that says what to do."""


@dataclass(frozen=True)
class Print:
    """One impression of one finger, as a data set lists it."""

    dataset: str
    finger: str
    impression: str
    path: Path
    ppi: int
    """Resolution of the file in pixels per inch."""


def read_image(path: str | Path) -> Float32[np.ndarray, "H W"]:
    """Decode a PNG, TIFF, BMP or JPEG file to grey values from 0 (black) to 1 (white).

    8 or 16 bit; colour becomes luma (ITU-R BT.601), transparency is laid over white, and of a
    file of several pages the first is read. Raises FileNotFoundError where there is no such file,
    and ValueError where it is not such an image, is damaged, or has a side outside 64 to 4096
    pixels; the size is read from the header, before anything is decoded.
    """
    path = Path(path)
    _check_file(path)
    with warnings.catch_warnings():
        # Pillow warns about large or oddly tagged files; whatever matters here is an error below.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        try:
            with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
                _check_size(path, *image.size)
                _check_depth(path, image)
                return _grey(image)
        except PrintError:
            raise
        except Image.DecompressionBombError as error:
            # Pillow stops at 179 megapixels, before the size can be asked for.
            raise PrintError(_too_large(path, "hundreds of megapixels")) from error
        except UnidentifiedImageError as error:
            raise PrintError(
                f"{path} is not an image that can be read: expected a PNG, TIFF, BMP or JPEG file"
            ) from error
        except Exception as error:  # decoders raise nearly any type on damaged bytes
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise PrintError(
                f"{path} cannot be decoded ({reason}): expected an undamaged PNG, TIFF, BMP or "
                "JPEG file; copy or export it again"
            ) from error


def check_ppi(ppi: float) -> None:
    """Raise ValueError for a resolution outside 100 to 4000 pixels per inch."""
    if not MIN_PPI <= ppi <= MAX_PPI:
        raise ValueError(
            f"a resolution of {ppi} ppi cannot be right: expected {MIN_PPI} to {MAX_PPI} ppi, and "
            "500 for most sensors; set it with --ppi"
        )


def resample(
    image: Float32[np.ndarray, "H W"], ppi: float, to_ppi: float
) -> Float32[np.ndarray, "h w"]:
    """Change the resolution from ``ppi`` to ``to_ppi``, both in pixels per inch.

    A point (x, y) moves to ((x + 0.5)·s - 0.5, (y + 0.5)·s - 0.5) with s = to_ppi / ppi, up to
    the rounding of the sides to whole pixels. Shrinking averages areas, so that ridges do not
    alias; growing is bicubic. Values stay within 0..1. Raises ValueError as :func:`check_ppi`.
    """
    check_ppi(ppi)
    check_ppi(to_ppi)
    if ppi == to_ppi:
        return image
    scale = to_ppi / ppi
    height, width = (max(1, round(side * scale)) for side in image.shape)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    # Bicubic interpolation overshoots at the edges of ridges.
    return np.clip(cv2.resize(image, (width, height), interpolation=how), 0, 1).astype(np.float32)


def ridge_area(image: Float32[np.ndarray, "H W"], ppi: float) -> Bool[np.ndarray, "H W"]:
    """Mark the largest connected area with the contrast of ridges; all False where there is none.

    Coarse, for finding and centring the finger only: ``ifvit.data.normalise.foreground`` is the
    mask that the network sees.
    """
    window = max(3, round(WINDOW_MM * ppi / 25.4))
    mean = cv2.blur(image, (window, window))
    variance = cv2.blur(image * image, (window, window)) - mean * mean
    contrast = np.sqrt(np.maximum(variance, 0))
    # A quarter of the strongest contrast leaves out smudges and latent residue beside the finger.
    threshold = max(MIN_CONTRAST, 0.25 * float(np.percentile(contrast, 95)))
    kernel = np.ones((window, window), np.uint8)
    ridges = cv2.morphologyEx((contrast > threshold).astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ridges, connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if areas.size == 0 or areas.max() < MIN_AREA_MM2 * (ppi / 25.4) ** 2:
        return np.zeros(image.shape, dtype=bool)
    return np.asarray(labels == 1 + int(areas.argmax()))


def centred(
    image: Float32[np.ndarray, "H W"],
    side: int,
    mask: Bool[np.ndarray, "H W"] | None = None,
    ppi: float = ModelConfig.ppi,
) -> tuple[Float32[np.ndarray, "{side} {side}"], tuple[int, int]]:
    """Crop or pad to a square of ``side`` pixels with the finger in its middle.

    ``mask`` marks the finger; without it, it is ``ridge_area(image, ppi)``, and where that is
    empty the middle of the image is used. Returns the canvas and the offset (x0, y0) in whole
    pixels: ``canvas[y, x] == image[y + y0, x + x0]`` wherever the image reaches.

    Beyond the image the canvas has the median of the image's border: on a clean background that
    continues it without a step, and where the finger runs over the border it is the grey between
    ridge and valley, the smallest step there can be. White would draw an edge along both.
    """
    mask = ridge_area(image, ppi) if mask is None else mask
    height, width = image.shape
    ys, xs = np.nonzero(mask)
    y, x = (ys.mean(), xs.mean()) if ys.size else ((height - 1) / 2, (width - 1) / 2)
    x0, y0 = round(float(x) - (side - 1) / 2), round(float(y) - (side - 1) / 2)
    border = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]])
    canvas = np.full((side, side), np.median(border), dtype=np.float32)
    top, bottom = max(0, -y0), min(side, height - y0)
    left, right = max(0, -x0), min(side, width - x0)
    # The centroid of a mask lies inside the image, so the two always overlap.
    canvas[top:bottom, left:right] = image[top + y0 : bottom + y0, left + x0 : right + x0]
    return canvas, (x0, y0)


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
    return centred(image, side, ridges)[0]


def _image_and_ridges(
    path: str | Path, ppi: float | None, to_ppi: float
) -> tuple[np.ndarray, np.ndarray]:
    image = resample(read_image(path), REFERENCE_PPI if ppi is None else ppi, to_ppi)
    ridges = ridge_area(image, to_ppi)
    if not ridges.any():
        raise PrintError(
            f"no fingerprint found in {path}: expected an area of ridges of at least 2 × 2 mm, "
            "but the image is blank or nearly so; scan the finger again, or check --ppi"
        )
    return image, ridges


def _check_file(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"no such image: {path}; check the name and the folder")
    if not path.is_file():
        raise PrintError(f"{path} is a folder: expected one PNG, TIFF, BMP or JPEG file")
    if path.stat().st_size == 0:
        raise PrintError(f"{path} is empty (0 bytes): expected an image; copy or export it again")


def _check_size(path: Path, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE:
        raise PrintError(_too_large(path, f"{width}×{height} px"))
    if min(width, height) < MIN_SIDE:
        raise PrintError(
            f"{path} is too small ({width}×{height} px): expected sides of at least "
            f"{MIN_SIDE} px; give the whole print at its original resolution"
        )


def _too_large(path: Path, size: str) -> str:
    return (
        f"{path} is too large ({size}): expected sides of at most {MAX_SIDE} px; "
        "cut out the one finger, or reduce it and say its new --ppi"
    )


def _check_depth(path: Path, image: Image.Image) -> None:
    # 32-bit integers and floats say nothing about which value is white.
    if image.mode in ("I", "F"):
        raise PrintError(
            f"{path} has 32-bit or signed pixels: expected 8 or 16 bit, grey or colour; "
            "convert it to 16 bit"
        )


def _grey(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.float32) / 65535
        # Pillow inverts 8-bit "white is zero" TIFFs by itself, but not those of 16 bit.
        photometric = getattr(image, "tag_v2", {}).get(ExifTags.Base.PhotometricInterpretation)
        return 1 - values if photometric == 0 else values
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    elif image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")  # palettes, CMYK and the like have no direct way to grey
    return np.asarray(image.convert("L")).astype(np.float32) / 255
