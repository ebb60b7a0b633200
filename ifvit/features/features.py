"""Features: everything that is computed from one print alone, made once and kept.

Both prints of a pair are drawn with one scale factor, which depends on both. So a print is read and
measured here, and its frames and maps at a factor are added when the first pair needs them
(:mod:`ifvit.features.extractor`): one print against many is drawn once for each factor.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from jaxtyping import Bool, Float

from ifvit.config import REFERENCE_PPI
from ifvit.data.given import PrintSource, grey_values, name_of
from ifvit.data.prints import (
    check_ridges,
    cropped,
    print_at,
    resample,
    ridge_middle,
    ridges_and_fingers,
    unaliased,
)
from ifvit.features.fit import Fit
from ifvit.features.frame_features import FeatureMap, FrameFeatures
from ifvit.features.period import RidgePeriod, ridge_period
from ifvit.features.print_rule import RidgeEvidence, check_print
from ifvit.features.ridge_evidence import print_evidence
from ifvit.geometry.grid import Frame

K = TypeVar("K")
V = TypeVar("V")

WITHIN = 0.9
"""Share of the ridge area, along each axis and to each side, that a canvas has to hold. A print
tapers: its last tenth takes a fifth of its length, and the cost of every pair grows with the square
of the length."""

ALL = 0.99


@dataclass(eq=False)
class Features:
    """A print as it was read, its measurements, and what has been computed from it so far.

    It holds plain arrays and can be cached and sent to other processes. A print that two matchers
    use keeps the results of both.
    """

    pixels: Float[np.ndarray, "H W"]
    """Grey values in [0, 1] at the resolution of the sensor, ridges dark."""
    image: Float[np.ndarray, "h w"]
    """The print at 500 ppi: results are drawn on it, and their coordinates refer to it."""
    ridges: Bool[np.ndarray, "h w"]
    """Mask of the ridge area at 500 ppi."""
    middle: tuple[float, float]
    """Centroid (x, y) of the ridges, pixels at 500 ppi: the middle of every frame."""
    reach_px: float
    """How far from ``middle`` the ridges reach along either axis, without the outermost tenth
    (:data:`WITHIN`), pixels at 500 ppi."""
    extent_px: float
    """How far from ``middle`` all ridges reach, but for stray pixels at the border (:data:`ALL`),
    pixels at 500 ppi."""
    period: RidgePeriod
    fingers: int
    """Number of ridge areas, each as large as a finger, that the image shows; one of them is the
    print."""
    digest: bytes
    """The sha256 of the pixels at 500 ppi."""
    name: str = ""
    """The print's name in results and errors: that of its file, where it came from a file."""
    frames: dict[tuple[str, int, Fit], FrameFeatures] = field(default_factory=dict)
    """The frames drawn so far, keyed by enhancer, the network's ppi, and fit."""
    poses: dict[tuple[str, int, Fit], Float[np.ndarray, "2 3"]] = field(default_factory=dict)
    """The transforms (2, 3) that draw its frames upright, with the keys of ``frames``."""
    maps: dict[tuple[str, Fit], FeatureMap] = field(default_factory=dict)
    """Module 1's feature maps, keyed by the sha256 of its weights, and fit."""
    templates: dict[str, Any] = field(default_factory=dict)
    """Module 2's templates (:class:`ifvit.features.coder.Template`), keyed by the sha256 of its
    weights."""

    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def once(self, made: dict[K, V], key: K, make: Callable[[], V]) -> V:
        """Return the value kept in ``made`` under a key; the first thread that asks makes it."""
        with self._lock:
            if key not in made:
                made[key] = make()
            return made[key]

    def __getstate__(self) -> dict[str, Any]:
        """Return the state that can be sent to another process: all but the lock."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a state that was sent, with a new lock."""
        vars(self).update(state, _lock=threading.RLock())

    @cached_property
    def evidence(self) -> RidgeEvidence:
        """Return the evidence that the image shows a print; raises ValueError where it shows no
        ridges."""
        return print_evidence(self.image, self.ridges, self.period.px)

    @cached_property
    def order(self) -> tuple[int, bytes]:
        """Return what puts the two prints of a pair in order, so that results are symmetric: the
        ridge area, pixels at 500 ppi, and the digest."""
        return int(np.count_nonzero(self.ridges)), self.digest

    def placed(self, fit: Fit) -> Frame:
        """Return where a frame lies on this print, its middle on the middle of the ridges."""
        corner = fit.scale * (np.array(self.middle) + 0.5) - fit.side / 2
        return Frame(fit.scale, (round(float(corner[0])), round(float(corner[1]))))

    def drawn(self, fit: Fit) -> Float[np.ndarray, "S S"]:
        """Draw this print's frame from the sensor's own pixels, interpolated only once.

        At scale 1 the frame is the print at 500 ppi, cropped. Outside the print it has the value
        of :func:`border_grey`.
        """
        frame = self.placed(fit)
        if fit.scale == 1:
            return cropped(self.image, fit.side, frame.origin)
        rows, columns = np.array(self.pixels.shape) / np.array(self.image.shape) / fit.scale
        # Along one axis after the other: a frame is neither turned nor moved by part of a pixel.
        made = cv2.resize(
            unaliased(self.pixels, max(float(rows), float(columns))),
            None,
            fx=1 / columns,
            fy=1 / rows,
            interpolation=cv2.INTER_LANCZOS4,
        )
        return np.clip(cropped(made, fit.side, frame.origin), 0, 1)

    def left_out(self, seen: Float[np.ndarray, "2 2"]) -> float:
        """Return the share of the ridges that lie outside a frame, which is given by its first and
        last corner (x, y)."""
        first, last = seen
        x0, y0 = np.ceil(first).astype(int).clip(0)
        x1, y1 = np.floor(last).astype(int).clip(-1) + 1
        inside = np.count_nonzero(self.ridges[y0:y1, x0:x1])
        return 1 - inside / np.count_nonzero(self.ridges) if self.ridges.any() else 0.0


def features_of(pixels: np.ndarray, ppi: float = REFERENCE_PPI, name: str = "") -> Features:
    """Measure a print (H, W): grey values in [0, 1], ridges dark, at ``ppi``.

    An image without ridges is accepted, though it cannot be aligned. Raises ValueError for an
    array that is no image, and as ``resample`` does.
    """
    pixels = np.asarray(pixels, np.float32)
    if pixels.ndim != 2 or not pixels.size or not np.isfinite(pixels).all():
        raise ValueError(
            f"print of shape {pixels.shape}: expected finite grey values of shape (H, W), "
            "ridges dark"
        )
    image = resample(pixels, ppi, REFERENCE_PPI)
    ridges, fingers = ridges_and_fingers(image, REFERENCE_PPI)
    return _measured(pixels, image, ridges, fingers, name)


def read_features(given: PrintSource, ppi: float | None = None, name: str = "") -> Features:
    """Read a print and measure it; ``ppi`` is its resolution, 500 if not given.

    ``name`` is the name of a print that is no file, for results and errors. Raises as
    ``grey_values`` and ``resample`` do, and ValueError where the image shows no fingerprint.
    """
    called = str(given) if isinstance(given, str | Path) else name or "the print"
    shown_as = name_of(given, name)
    pixels = grey_values(given, called)
    image = print_at(pixels, ppi, REFERENCE_PPI, called)
    ridges, fingers = ridges_and_fingers(image, REFERENCE_PPI)
    made = _measured(pixels, image, check_ridges(ridges, called), fingers, shown_as)
    check_print(made.evidence, called)
    return made


def _measured(
    pixels: Float[np.ndarray, "H W"],
    image: Float[np.ndarray, "h w"],
    ridges: Bool[np.ndarray, "h w"],
    fingers: int,
    name: str,
) -> Features:
    middle = ridge_middle(ridges)
    return Features(
        pixels=pixels,
        image=image,
        ridges=ridges,
        middle=middle,
        reach_px=_reach(ridges, middle, WITHIN),
        extent_px=_reach(ridges, middle, ALL),
        period=ridge_period(image, ridges),
        fingers=fingers,
        digest=hashlib.sha256(image.tobytes()).digest(),
        name=name,
    )


def _reach(ridges: Bool[np.ndarray, "H W"], middle: tuple[float, float], within: float) -> float:
    if not ridges.any():
        return max(ridges.shape) / 2
    far = 0.0
    for axis, centre in enumerate(middle):
        # Both quantiles of the ridge pixels' positions, from their cumulative count along the axis.
        up_to = np.cumsum(np.count_nonzero(ridges, axis=axis))
        for share in (1 - within, within):
            rank = share * (int(up_to[-1]) - 1)
            ends = np.searchsorted(up_to, np.array([np.floor(rank), np.ceil(rank)]), side="right")
            place = ends[0] + (rank - np.floor(rank)) * (ends[1] - ends[0])
            far = max(far, abs(float(place) - centre))
    return far
