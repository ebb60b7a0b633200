"""Structures of a skeleton that look like minutiae and are none.

They are recognised by the branch or the gap between two minutiae: a spur is a short branch with an
end, a bridge or a lake a short branch between forks, an island a short ridge by itself, and a break
two ends that face each other (Xiao and Raafat 1991; Maltoni et al., "Handbook of Fingerprint
Recognition", section 3.7).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

SHORTEST_PX = 6
"""Length, measured from the squares cut out around forks, below which a branch is no ridge of a
finger. Longer ones are kept: to an examiner short ridges are minutiae."""

GAP_PX = 9.0
"""Ends nearer than this that face each other are one broken ridge."""


def spurious(
    skeleton: Bool[np.ndarray, "H W"],
    crossing: Int[np.ndarray, "H W"],
    orientation: Float[np.ndarray, "H W"],
) -> Bool[np.ndarray, "H W"]:
    """Mark minutiae of a skeleton at 500 ppi that are spurs, bridges, lakes, islands or breaks.

    ``crossing`` holds the crossing numbers, ``orientation`` the flow in radians.
    """
    marked = np.zeros(skeleton.shape, bool)
    for pixels in tied(skeleton, crossing):
        marked[tuple(np.array(pixels).T)] = True
    ends = np.argwhere((crossing == 1) & ~marked)
    for end in ends[_facing(ends, orientation)]:
        marked[tuple(end)] = True
    return marked


def tied(
    skeleton: Bool[np.ndarray, "H W"], crossing: Int[np.ndarray, "H W"]
) -> list[list[tuple[int, int]]]:
    """Return, for each short branch, the minutiae (row, column) that it connects."""
    forks = np.argwhere(crossing >= 3)
    cut = skeleton.astype(np.uint8)
    for y, x in forks:
        cut[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] = 0
    _, labels, stats, _ = cv2.connectedComponentsWithStats(cut, connectivity=8)
    short = stats[:, cv2.CC_STAT_AREA] < SHORTEST_PX
    short[0] = False
    found: dict[int, list[tuple[int, int]]] = {}
    for y, x in np.argwhere((crossing == 1) | (crossing >= 3)).tolist():
        near = labels[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        for label in np.unique(near[short[near]]):
            found.setdefault(int(label), []).append((y, x))
    return [pixels for pixels in found.values() if len(pixels) > 1] + _adjacent(forks)


def _adjacent(forks: Int[np.ndarray, "F 2"]) -> list[list[tuple[int, int]]]:
    """Return pairs of forks so close that nothing is left of the branch between them."""
    found = []
    for down, right, there in _stepped(forks, 3):
        if (down, right) > (0, 0):  # each pair once
            found += [[(y, x), (y + down, x + right)] for y, x in forks[there].tolist()]
    return found


def _facing(
    ends: Int[np.ndarray, "E 2"], orientation: Float[np.ndarray, "H W"]
) -> Int[np.ndarray, " M"]:
    """Return the ends that have another one across a gap along the flow."""
    angle = orientation[tuple(ends.T)]
    cos, sin = np.cos(angle).astype(float), np.sin(angle).astype(float)
    facing = np.zeros(len(ends), bool)
    for down, right, there in _stepped(ends, int(GAP_PX)):
        distance = np.hypot(down, right)
        if distance < GAP_PX:
            facing |= there & (np.abs(right * cos + down * sin) > 0.7 * distance)
    return np.nonzero(facing)[0]


def _stepped(
    places: Int[np.ndarray, "P 2"], reach: int
) -> Iterator[tuple[int, int, Bool[np.ndarray, " P"]]]:
    """Yield each step of up to ``reach`` rows and columns, and from which places it leads to
    another place.

    Comparing all places with all would take gigabytes where a large image is noise.
    """
    y, x = places.T + reach
    shown = np.zeros((y.max(initial=0) + reach + 1, x.max(initial=0) + reach + 1), bool)
    shown[y, x] = True
    steps = range(-reach, reach + 1)
    for down, right in product(steps, steps):
        if down or right:
            yield down, right, shown[y + down, x + right]
