"""One print drawn in another's frame, pixel by pixel: what ``ifvit register`` makes."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float

from ifvit.config import REFERENCE_PPI
from ifvit.data.given import Ppi, PrintSource
from ifvit.features.enhancer import EnhancerName
from ifvit.features.features import Features
from ifvit.files import write_result
from ifvit.numpy_settings import usual_float_errors
from ifvit.registration.aligner import Aligner
from ifvit.registration.alignment import Alignment
from ifvit.weights.pretrained import pretrained_files


@dataclass(frozen=True, eq=False)
class Registration:
    """A registered pair; images are whole prints at 500 ppi in [0, 1], ridges dark.

    ``status`` is ``ok``, or ``not_aligned``, in which case ``alignment.reason`` says why, and all
    else shows the best alignment that was found.
    """

    alignment: Alignment
    image0: Float[np.ndarray, "H W"]
    image1: Float[np.ndarray, "H1 W1"]
    aligned: Float[np.ndarray, "H W"]
    """Image 1 drawn in image 0's frame, white where it shows nothing."""
    displacement: Float[np.ndarray, "H W 2"]
    """From each pixel of image 0 to the place in image 1 that shows the same skin: (x, y) in
    pixels at 500 ppi, to be added to the pixel's own place."""
    overlap: Bool[np.ndarray, "H W"]
    """Pixels of image 0 where both prints show ridges."""
    name0: str = ""
    name1: str = ""

    @property
    def status(self) -> str:
        """Return ``ok`` or ``not_aligned``."""
        return "ok" if self.alignment.ok else "not_aligned"

    def summary(self) -> str:
        """Return the result in one line."""
        found = self.alignment
        if not found.ok:
            return f"not aligned: {found.reason}"
        ncc = "" if found.ridge_ncc is None else f", ridges correlate by {found.ridge_ncc:.3f}"
        share = f"{100 * self.overlap.mean():.0f} % of image 0 overlaps"
        counts = f"{found.num_inliers} of {len(found.points0)} matching cells agree"
        return f"turned by {found.angle:.1f}°{ncc}; {counts}, {share}"

    def record(self) -> dict[str, Any]:
        """Return all but the pixels as plain values; positions in the prints, px at 500 ppi."""
        found = self.alignment
        return {
            "name0": self.name0,
            "name1": self.name1,
            "status": self.status,
            "reason": found.reason,
            "ridge_ncc": found.ridge_ncc,
            "overlap": round(float(self.overlap.mean()), 4),
            "num_matches": len(found.points0),
            "num_inliers": found.num_inliers,
            "alignment": found.record(),
        }

    def to_json(self) -> str:
        """Return :meth:`record` as JSON."""
        return json.dumps(self.record(), allow_nan=False)


def register_features(aligner: Aligner, print0: Features, print1: Features) -> Registration:
    """Register two prints, and draw one in the other's frame."""
    return registration_of(aligner.register(print0, print1), print0, print1)


def registration_of(found: Alignment, print0: Features, print1: Features) -> Registration:
    """Draw a print in the frame of another, by the alignment that was found."""
    pixels, placed = pixels_placed(found, print0.image.shape)
    aligned = read_at(print1.image, placed, border=1.0)
    ridges1 = read_at(print1.ridges.astype(np.float32), placed, border=0.0) > 0.5
    overlap = print0.ridges & ridges1
    images = print0.image, print1.image
    names = print0.name, print1.name
    return Registration(found, *images, aligned, placed - pixels, overlap, *names)


@lru_cache(maxsize=1)
def _loaded(dense_ckpt: Path, enhancer: EnhancerName, _written: int) -> Aligner:
    return Aligner.from_checkpoint(dense_ckpt, enhancer)


@usual_float_errors()
def register(
    print0: PrintSource,
    print1: PrintSource,
    *,
    dense_ckpt: str | Path | None = None,
    ppi: Ppi = None,
    enhancer: EnhancerName = "gabor",
) -> Registration:
    """Register two prints by Module 1 and their ridges; see :class:`Registration`.

    Prints and ``ppi`` are as :func:`ifvit.match` takes them. ``dense_ckpt`` is Module 1's
    checkpoint, if not given that which ships with ifvit; the loaded and compiled model is kept for
    the next call with the same, unchanged file. Raises FileNotFoundError and ValueError as the
    readers and loaders do.
    """
    path = Path(pretrained_files().dense if dense_ckpt is None else dense_ckpt)
    written = path.stat().st_mtime_ns if path.exists() else 0
    aligner = _loaded(path, enhancer, written)
    return register_features(aligner, *aligner.extractor.extract_both(print0, print1, ppi))


def save_displacement(found: Registration, path: str | Path) -> None:
    """Write the dense field as .npz: ``displacement`` (H,W,2), ``overlap`` (H,W), ``ppi``."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        displacement=found.displacement,
        overlap=found.overlap,
        ppi=np.array(REFERENCE_PPI),
    )
    write_result(path, buffer.getvalue(), b"displacement.npy")


def pixels_placed(
    found: Alignment, shape: tuple[int, ...]
) -> tuple[Float[np.ndarray, "H W 2"], Float[np.ndarray, "H W 2"]]:
    """Return the pixels (x, y) of print 0, which has this shape, and their places in print 1."""
    y, x = np.indices(shape)
    pixels = np.stack([x, y], axis=-1).astype(np.float32)
    placed = found.place(pixels.reshape(-1, 2).astype(float)).reshape(pixels.shape)
    return pixels, placed.astype(np.float32)


def read_at(
    image: Float[np.ndarray, "H1 W1"], placed: Float[np.ndarray, "H W 2"], border: float
) -> Float[np.ndarray, "H W"]:
    """Read an image at its own points (x, y), bilinear; outside it the value is ``border``."""
    drawn = cv2.remap(
        image,
        placed[..., 0],
        placed[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=border,
    )
    return np.asarray(drawn)
