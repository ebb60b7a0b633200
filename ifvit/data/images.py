"""Image files to grey values, of all usual formats, and WSQ where its decoder is installed."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from ifvit.data.apart import APART, decoded
from ifvit.data.contrast import brought_to_usual, of_16_bit
from ifvit.data.damage import BinaryFile, PrintError, check_whole
from ifvit.data.formats import EXPECTED, formats_of, other_format
from ifvit.data.headers import check_start
from ifvit.data.pages import seek_print
from ifvit.data.raw_grey import raw_grey
from ifvit.texts import shortened

logger = logging.getLogger("ifvit")

MOST_BYTES = 160 << 20
"""Largest size of a file: more than the largest image in colour, transparent and of 16 bit."""

PILLOW_PIXELS = 89_478_485
"""Pixels from which Pillow warns, by its default; twice as many are an error."""

LINES = 256
"""Number of lines of a transparent image that are laid over white at a time."""

MIN_SIDE, MAX_SIDE = 24, 4096
"""Sides in pixels of an image that is read. 24 px at 250 ppi are 2.4 mm, what a strip sensor shows,
and whether that is enough is asked in millimetres; 4096 px at 1000 ppi are 104 mm, a whole hand."""


def read_image(path: str | Path) -> Float32[np.ndarray, "H W"]:
    """Decode an image file to grey values from 0 (black) to 1 (white).

    PNG, TIFF, BMP, JPEG, JPEG 2000, PGM, GIF, WebP or WSQ, of 8 or 16 bit; colour becomes luma
    (ITU-R BT.601), transparency is laid over white, and of a file of several pages or pictures the
    first is read that is no smaller copy of another, with a warning where there are more. A
    pipe is read to its end. Raises FileNotFoundError where there is no such file, and ValueError
    where it is not such an image, is damaged, needs a decoder that is not installed (WSQ), or has a
    side outside 24 to 4096 pixels; sizes are read from the header, before anything is decoded.
    """
    path = Path(path)
    _check_file(path)
    with path.open("rb") as file:
        return decode(file if path.is_file() else _whole(file, path), path)


def check_image(path: str | Path) -> None:
    """Raise as :func:`read_image` for what a file's name and header tell; a pipe is left alone."""
    path = Path(path)
    _check_file(path)
    if path.is_file():
        with path.open("rb") as file, _opened(file, path) as image:
            seek_print(image)
            _check_size(path, *image.size)
            _check_depth(path, image)


def decode(file: BinaryFile, path: str | Path) -> Float32[np.ndarray, "H W"]:
    """Decode an open file, or one in memory, as :func:`read_image`; ``path`` names it in errors."""
    with _opened(file, path) as image:
        if (pages := seek_print(image)) > 1:
            logger.warning(
                "%s has %s pages: page %d alone is read; save the one that is meant by itself",
                *(path, "several" if image.format == "GIF" else pages, image.tell() + 1),
            )
        check_whole(file, path, image)
        _check_size(path, *image.size)
        if image.format in APART:
            file.seek(0)
            return grey(decoded(file.read(), str(image.format), image.size, path), path)
        values = raw_grey(file, image, path)
        if values is None:
            _check_depth(path, image)
            values = _grey(image)
    # What the decoder holds is several times the picture: it goes before copies are made.
    del image
    return brought_to_usual(values)


def header_size(file: BinaryFile, path: str | Path) -> tuple[int, int]:
    """Return the width and height that an image's header tells; raises as :func:`read_image`."""
    with _opened(file, path) as image:
        seek_print(image)
        _check_size(path, *image.size)
        return image.size


@contextmanager
def _opened(file: BinaryFile, path: str | Path) -> Iterator[Image.Image]:
    """Open an image of a known format; whatever goes wrong inside becomes a :class:`PrintError`."""
    formats = formats_of(file, path)
    check_start(file, path)
    with _decoding(path):
        try:
            with Image.open(file, formats=formats) as image:  # type: ignore[arg-type]
                yield image
        except UnidentifiedImageError as error:
            raise PrintError(
                f"{path} is not an image that can be read{other_format(file)}: expected a "
                f"{EXPECTED}"
            ) from error


@contextmanager
def _decoding(path: str | Path) -> Iterator[None]:
    with _PILLOW_AS_USUAL:
        try:
            yield
        except PrintError:
            raise
        except Image.DecompressionBombError as error:
            # Pillow stops at 179 megapixels, before the size can be asked for.
            raise PrintError(_too_large(path, "hundreds of megapixels")) from error
        except Exception as error:  # decoders raise nearly any type on damaged bytes
            reason = shortened(str(error) or type(error).__name__, 150)
            raise PrintError(
                f"{path} cannot be decoded ({reason}): expected an undamaged {EXPECTED}; "
                "copy or export it again"
            ) from error


def grey(image: Image.Image, path: str | Path) -> Float32[np.ndarray, "H W"]:
    """Return the grey values of a picture of Pillow's, as :func:`read_image`."""
    _check_size(path, *image.size)
    _check_depth(path, image)
    # A picture reads its file when it is first used, and two threads may have been given the same.
    with _decoding(path), _ONE_PICTURE:
        values = _grey(image)
    return brought_to_usual(values)


_ONE_PICTURE = threading.Lock()


class _AsUsual:
    """Let Pillow work as the readers expect, whatever the program has set for its own images.

    Files that are cut short are errors, and Pillow's own limit is far above what is read. Warnings
    of large or oddly tagged files are suppressed: what matters raises an error. All three are
    shared by all threads, so that the last thread to leave restores what the first one found.
    """

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._kept = warnings.catch_warnings()
                self._kept.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
                self._found = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
                ImageFile.LOAD_TRUNCATED_IMAGES = False
                Image.MAX_IMAGE_PIXELS = PILLOW_PIXELS
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._kept.__exit__(None, None, None)
                ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = self._found


_PILLOW_AS_USUAL = _AsUsual()


def _check_file(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"no such image: {path}; check the name and the folder")
    if path.is_dir():
        raise PrintError(f"{path} is a folder: expected one {EXPECTED}")
    size = path.stat().st_size if path.is_file() else 1
    if size == 0:
        raise PrintError(f"{path} is empty (0 bytes): expected an image; copy or export it again")
    if size > MOST_BYTES:
        raise PrintError(f"{path} has {size >> 20} MB: expected a {EXPECTED} of one finger")


def _whole(file: BinaryFile, path: Path) -> io.BytesIO:
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise PrintError(f"{path} does not end within {MOST_BYTES >> 20} MB: expected a {EXPECTED}")
    return io.BytesIO(data)


def _check_size(path: str | Path, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE:
        raise PrintError(_too_large(path, f"{width}×{height} px"))
    if min(width, height) < MIN_SIDE:
        raise PrintError(
            f"{path} is too small ({width}×{height} px): expected sides of at least "
            f"{MIN_SIDE} px; give the whole print at its original resolution"
        )


def _too_large(path: str | Path, size: str) -> str:
    return (
        f"{path} is too large ({size}): expected sides of at most {MAX_SIDE} px; "
        "cut out the one finger, or reduce it and say its new --ppi"
    )


def _check_depth(path: str | Path, image: Image.Image) -> None:
    # 32-bit integers and floats say nothing about which value is white.
    if image.mode == "F" or (image.mode == "I" and image.format != "PPM"):
        raise PrintError(
            f"{path} has 32-bit or signed pixels: expected 8 or 16 bit, grey or colour; "
            "convert it to 16 bit"
        )


def _grey(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16"):
        # Further tags of the file are lost in the turned picture.
        photometric = getattr(image, "tag_v2", {}).get(ExifTags.Base.PhotometricInterpretation)
        values = of_16_bit(np.asarray(ImageOps.exif_transpose(image)))
        # Pillow inverts 8-bit "white is zero" TIFFs by itself, but not those of 16 bit.
        return 1 - values if photometric == 0 else values
    image = ImageOps.exif_transpose(image)
    if image.mode == "I":  # a PGM of text, whose maximum Pillow has brought to this
        return np.asarray(image).astype(np.float32) / 65535
    if image.mode in ("La", "RGBa"):
        image = image.convert(f"{image.mode[:-1]}A")  # whose grey was multiplied by its opacity
    if image.has_transparency_data:
        return _on_white(image)
    if image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")  # palettes, CMYK and the like have no direct way to grey
    return np.asarray(image.convert("L")).astype(np.float32) / 255


def _on_white(image: Image.Image) -> np.ndarray:
    """Return the grey of a picture laid over white, some lines at a time: each takes four times."""
    found = np.empty(image.size[::-1], np.float32)
    for top in range(0, image.height, LINES):
        part = image.crop((0, top, image.width, min(top + LINES, image.height))).convert("RGBA")
        white = Image.new("RGBA", part.size, "white")
        grey = Image.alpha_composite(white, part).convert("L")
        found[top : top + LINES] = np.asarray(grey).astype(np.float32) / 255
    return found
