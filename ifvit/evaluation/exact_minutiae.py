"""The minutiae of a synthetic finger, exactly, and where its impressions show them.

A finger's ridges are grown before any impression is drawn; their minutiae are where the phase of
the pattern turns once (Larkin and Fletcher, "A coherent framework for fingerprint analysis: are
fingerprints holograms?", Optics Express 15(14), 2007). This needs no skeleton, so that the
extraction of minutiae from skeletons is measured by an independent method.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from ifvit.features.ridge_phase import dislocations
from ifvit.geometry.filters import gaussian_blur
from ifvit.geometry.warp import sample
from ifvit.minutiae.minutia_pairs import nearest_pairs
from ifvit.minutiae.minutiae import Minutiae, well_inside
from ifvit.synthesis.draw import ImpressionParams
from ifvit.synthesis.impression import from_master, in_contact
from ifvit.synthesis.master import finger_key, grown_relief

PERIOD_PX = 9.0
"""Ridge period about which the phase is found, pixels at 500 ppi of a master."""

OCTAVES = 0.6
WINDOW_PX = 6.0

FILLED_PX = 3.0
"""Standard deviation of the blur by which bifurcations, filled by ridges, are told from endings,
filled by valleys."""

TOLERANCE_PX = 10.0
"""Distance up to which a minutia counts as found: a ridge period, 0.5 mm."""


def master_minutiae(seed: int, finger: int) -> Minutiae:
    """Return the minutiae of a synthetic finger, in pixels at 500 ppi of its master."""
    relief = np.asarray(_relief(finger, seed=seed), np.float32)
    places, directions = dislocations(relief, PERIOD_PX, OCTAVES, WINDOW_PX)
    filled = sample(gaussian_blur(relief[None], FILLED_PX)[0], places)
    made = Minutiae(places, np.mod(directions, 2 * np.pi), filled > 0)
    # The spectrum is periodic: near the border it mixes in the opposite side.
    inner = (places > PERIOD_PX) & (places < np.array(relief.shape[::-1]) - PERIOD_PX)
    return made.of(np.asarray(inner.all(axis=1)))


@partial(jax.jit, static_argnames="seed")
def _relief(finger: Int[Array, ""] | int, *, seed: int) -> Array:
    return grown_relief(finger_key(seed, finger))


def exact_minutiae(master: Minutiae, params: ImpressionParams, shape: tuple[int, int]) -> Minutiae:
    """Return the minutiae of a finger that an impression shows, in pixels of its frame (H, W).

    By the exact map; those beyond the contact region or the frame are left out.
    """
    placed, shown = _impressed(master, params, shape)
    return placed.of(shown)


def identified(
    found: Minutiae, master: Minutiae, params: ImpressionParams, shape: tuple[int, int]
) -> Int[np.ndarray, " K"]:
    """Return, for each minutia found in an impression, its index among those of the finger, or -1.

    They are paired one to one within :data:`TOLERANCE_PX` and 30 degrees.
    """
    placed, shown = _impressed(master, params, shape)
    pairs = nearest_pairs(found, placed.of(shown), TOLERANCE_PX)
    which = np.full(len(found), -1)
    which[pairs.index0] = np.nonzero(shown)[0][pairs.index1]
    return which


def _impressed(
    master: Minutiae, params: ImpressionParams, shape: tuple[int, int]
) -> tuple[Minutiae, Bool[np.ndarray, " K"]]:
    """Return all minutiae of a finger where an impression has them, and which of them it shows."""

    def place(points: np.ndarray) -> np.ndarray:
        return np.asarray(from_master(params, jnp.asarray(points, jnp.float32), shape), float)

    placed = master.through(place, 1.0)
    start, limit = placed.places, np.array(shape[::-1]) - 1
    shown = np.asarray(in_contact(params, jnp.asarray(start, jnp.float32), shape))
    shown = shown & ((start >= 0) & (start <= limit)).all(axis=1)
    return placed, shown


class Counted(NamedTuple):
    """Counts of exact minutiae and of those found."""

    exact: int
    """Exact minutiae well inside the print, where minutiae are looked for."""
    found: int
    right: int
    """Found minutiae that are exact ones."""
    recalled: int
    """Exact minutiae well inside the print that were found."""
    same_type: int
    """Right minutiae whose type, ending or bifurcation, is right too."""

    @property
    def precision(self) -> float:
        """Return the share of those found that are right."""
        return self.right / max(self.found, 1)

    @property
    def recall(self) -> float:
        """Return the share of the exact that were found."""
        return self.recalled / max(self.exact, 1)


def counted(found: Minutiae, exact: Minutiae, ridges: Bool[np.ndarray, "H W"]) -> Counted:
    """Count the minutiae of a print that were found, by those that it shows.

    They are paired one to one within :data:`TOLERANCE_PX` and 30 degrees. A minutia found near the
    border counts as right if it exists; one that is not found there does not count as missed.
    """
    pairs = nearest_pairs(found, exact, TOLERANCE_PX)
    x, y = np.round(exact.places).astype(int).T
    inside = well_inside(ridges)[y, x]
    kinds = found.bifurcations[pairs.index0] == exact.bifurcations[pairs.index1]
    return Counted(
        exact=int(inside.sum()),
        found=len(found),
        right=len(pairs.index0),
        recalled=int(inside[pairs.index1].sum()),
        same_type=int(kinds.sum()),
    )
