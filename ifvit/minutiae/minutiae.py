"""Minutiae of one print: where its ridges end and fork, from the skeleton of its enhanced ridges.

Minutiae are pixels of the skeleton with a crossing number of 1 (ridge ending) or 3 (bifurcation):
Rutovitz, "Pattern recognition", J. Royal Statistical Society 129(4), 1966. Spurious ones are
removed by the rules of Xiao and Raafat, "Fingerprint image postprocessing: a combined statistical
and structural approach", Pattern Recognition 24(10), 1991: those near the border or where the flow
is not clear, and spurs, bridges, lakes, islands and breaks (:mod:`ifvit.minutiae.structures`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from ifvit.config import REFERENCE_PPI
from ifvit.features.enhance import enhance
from ifvit.features.normalise import contrast, normalise
from ifvit.geometry.filters import shrink
from ifvit.minutiae.structures import spurious

FACTOR = 2
"""Ridges are enhanced at 250 ppi, as for the networks, and thinned at 500."""

BORDER_PX = 18.0
"""Minutiae nearer than this, two ridge periods, to the border of the ridges are left out: there
every ridge ends."""

LEAST_COHERENCE = 0.4
"""Coherence of the flow below which the ridges that the filter draws are not reliable."""

REACH_PX = 8
"""Distance along the skeleton over which the direction of a minutia is measured."""

AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


@dataclass(frozen=True, eq=False)
class Minutiae:
    """K minutiae of a print, in pixels at 500 ppi of the whole print."""

    places: Float[np.ndarray, "K 2"]
    """Positions (x, y)."""
    directions: Float[np.ndarray, " K"]
    """Radians in [0, 2π), from the x axis towards the y axis: along the ridge for an ending,
    between both branches for a bifurcation. ISO/IEC 19794-2 defines them in the same way, but
    counts angles in the opposite sense."""
    bifurcations: Bool[np.ndarray, " K"]
    """Whether each minutia is a bifurcation; otherwise it is a ridge ending."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.places)

    def of(self, chosen: np.ndarray) -> Minutiae:
        """Return some of them: a mask, or indices in an order of their own."""
        return Minutiae(self.places[chosen], self.directions[chosen], self.bifurcations[chosen])

    def through(self, place: Callable[[np.ndarray], np.ndarray], step_px: float) -> Minutiae:
        """Return the minutiae moved by a map of points (K, 2); each direction is carried along by
        mapping a second point ``step_px`` pixels away."""
        ahead = np.stack([np.cos(self.directions), np.sin(self.directions)], axis=1)
        start, end = place(self.places), place(self.places + step_px * ahead)
        along = end - start
        directions = np.mod(np.arctan2(along[:, 1], along[:, 0]), 2 * np.pi)
        return Minutiae(start, directions, self.bifurcations)

    def kind(self, index: int) -> str:
        """Return ``bifurcation`` or ``ending``."""
        return "bifurcation" if self.bifurcations[index] else "ending"


class Ridged(NamedTuple):
    """An enhanced print at 500 ppi: ridges below 0, their flow in radians, and its coherence."""

    image: Float[np.ndarray, "H W"]
    orientation: Float[np.ndarray, "H W"]
    coherence: Float[np.ndarray, "H W"]


def extract_minutiae(
    image: Float[np.ndarray, "H W"], ridges: Bool[np.ndarray, "H W"], most: int = 2000
) -> Minutiae:
    """Find the minutiae of a print at 500 ppi, grey in [0, 1], ridges dark.

    ``ridges`` is where it shows ridges (:func:`ifvit.data.prints.ridge_area`). Minutiae are in
    reading order, from top to bottom. Raises ValueError where there are more than ``most``, and
    where scikit-image is not installed. A rolled finger has some two hundred; what pairs minutiae
    takes memory by their number squared.
    """
    thin = skeletonizer()
    inside = well_inside(ridges)
    if not inside.any():
        return Minutiae(np.zeros((0, 2)), np.zeros(0), np.zeros(0, bool))
    made = _enhanced(image, ridges)
    skeleton = np.asarray(thin((made.image < 0) & ridges), bool)
    crossing = crossing_numbers(skeleton)
    clear = inside & (made.coherence >= LEAST_COHERENCE)
    clear &= ~spurious(skeleton, crossing, made.orientation)
    at = np.argwhere(((crossing == 1) | (crossing == 3)) & clear)
    if len(at) > most:
        raise ValueError(
            f"{len(at)} minutiae in one image: expected at most {most}, since a finger shows some "
            "hundred; give the print alone, at its resolution"
        )
    directions = [_direction(skeleton, float(made.orientation[y, x]), y, x) for y, x in at.tolist()]
    forks = crossing[tuple(at.T)] == 3
    return Minutiae(at[:, ::-1].astype(float), np.array(directions, float), forks)


def crossing_numbers(skeleton: Bool[np.ndarray, "H W"]) -> Int[np.ndarray, "H W"]:
    """Return half the number of changes around each pixel of a skeleton: 1 where a line ends, 3
    where it forks; 0 for pixels that are not on the skeleton."""
    padded = np.pad(skeleton, 1).astype(np.int8)
    ring = [np.roll(padded, shift, (0, 1))[1:-1, 1:-1] for shift in AROUND]
    changes = sum(np.abs(ring[i] - ring[(i + 1) % 8]) for i in range(8)) // 2
    return np.where(skeleton, changes, 0)


def skeletonizer() -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that thins lines; raises ValueError where scikit-image is missing."""
    try:
        from skimage.morphology import skeletonize
    except ImportError as error:
        raise ValueError(
            f"minutiae need scikit-image, which cannot be imported ({error}): "
            "pip install 'ifvit[examiner]'"
        ) from error
    thin: Callable[[np.ndarray], np.ndarray] = skeletonize
    return thin


def _enhanced(image: Float[np.ndarray, "H W"], ridges: Bool[np.ndarray, "H W"]) -> Ridged:
    """Return the whole print enhanced at 250 ppi, drawn at 500 again."""
    more = [(0, side % FACTOR) for side in image.shape]
    ppi = REFERENCE_PPI // FACTOR
    small = shrink(np.pad(image, more, "edge")[None].astype(np.float32), FACTOR)
    mask = shrink(np.pad(ridges, more)[None].astype(np.float32), FACTOR) > 0.5
    made = enhance(normalise(small, mask, contrast(small, ppi)), mask, ppi)
    doubled = 2 * made.orientation
    values = made.image, np.cos(doubled), np.sin(doubled), made.coherence
    shown, cos, sin, coherence = (_enlarged(one[0], image.shape) for one in values)
    return Ridged(shown, 0.5 * np.arctan2(sin, cos), coherence)


def _enlarged(values: np.ndarray, shape: tuple[int, ...]) -> Float[np.ndarray, "H W"]:
    height, width = values.shape
    size = (FACTOR * width, FACTOR * height)
    made = cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    return np.asarray(made[: shape[0], : shape[1]])


def well_inside(ridges: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Return the mask of points from which the ridge area extends :data:`BORDER_PX` to all
    sides."""
    whole = np.pad(ridges, 1).astype(np.uint8)
    distance = cv2.distanceTransform(whole, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance[1:-1, 1:-1] > BORDER_PX)


def _direction(skeleton: Bool[np.ndarray, "H W"], flow: float, y: int, x: int) -> float:
    """Return the direction of a minutia: the flow, to the side where more of the skeleton lies."""
    top, left = max(y - REACH_PX, 0), max(x - REACH_PX, 0)
    window = skeleton[top : y + REACH_PX + 1, left : x + REACH_PX + 1].astype(np.uint8)
    labels = cv2.connectedComponents(window, connectivity=8)[1]
    rows, columns = np.nonzero(labels == labels[y - top, x - left])
    along = (columns + left - x) * np.cos(flow) + (rows + top - y) * np.sin(flow)
    return float(np.mod(flow + (np.pi if along.sum() < 0 else 0.0), 2 * np.pi))
