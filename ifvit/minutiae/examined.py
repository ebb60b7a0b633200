"""A match as an examiner reads it: the minutiae of both prints, paired by their registration."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ifvit.comparison.result import MatchResult
from ifvit.config import REFERENCE_PPI
from ifvit.data.prints import ridge_area
from ifvit.minutiae.minutia_pairs import MinutiaPairs, pair_minutiae
from ifvit.minutiae.minutiae import Minutiae, extract_minutiae


class Examined(NamedTuple):
    """The minutiae of both prints of a match, and which of them show the same skin."""

    minutiae0: Minutiae
    minutiae1: Minutiae
    pairs: MinutiaPairs

    def record(self) -> dict[str, Any]:
        """Return all of it as plain values for JSON.

        Positions are in pixels at 500 ppi of the prints, directions in degrees from the x axis
        towards the y axis; a pair holds the indices of its minutiae in both lists, from 0.
        """
        pairs = zip(*(part.tolist() for part in self.pairs), strict=True)
        return {
            "print0": _listed(self.minutiae0),
            "print1": _listed(self.minutiae1),
            "pairs": [
                {"index0": index0, "index1": index1, "residual_px": round(residual, 2)}
                for index0, index1, residual in pairs
            ],
        }

    def lines(self) -> list[str]:
        """Return a line that counts the pairs, and a line for each pair, numbered from 1."""
        first, second, pairs = self
        told = [f"{len(pairs.index0)} of {len(first)} and {len(second)} minutiae are paired"]
        for number, (i, j, residual) in enumerate(
            zip(*(part.tolist() for part in pairs), strict=True), start=1
        ):
            (x0, y0), (x1, y1) = first.places[i], second.places[j]
            told.append(
                f"{number}: {first.kind(i)} at ({x0:.0f}, {y0:.0f}), {second.kind(j)} at "
                f"({x1:.0f}, {y1:.0f}), residual {residual:.1f} px"
            )
        return told


def examined(result: MatchResult) -> Examined:
    """Find the minutiae of both prints of a match, and pair them by its alignment.

    Raises ValueError where a print has too many, and where scikit-image is not installed.
    """
    images = result.image0, result.image1
    first, second = (extract_minutiae(one, ridge_area(one, REFERENCE_PPI)) for one in images)
    return Examined(first, second, pair_minutiae(first, second, result.alignment))


def _listed(minutiae: Minutiae) -> list[dict[str, Any]]:
    degrees = np.round(np.rad2deg(minutiae.directions), 1).tolist()
    places = np.round(minutiae.places, 1).tolist()
    return [
        {"x": x, "y": y, "direction": degrees[i], "type": minutiae.kind(i)}
        for i, (x, y) in enumerate(places)
    ]
