"""The evidence of a match as plain data, to be drawn by the page and exported.

Prints are at 500 ppi, positions in their pixels; pictures are PNGs as data URIs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ifvit.comparison.result import MatchResult
from ifvit.config import REFERENCE_PPI
from ifvit.geometry.field import Displacement
from ifvit.minutiae.examined import examined
from ifvit.registered_pair import pixels_placed, read_at
from ifvit.service.data_uri import png_uri


def evidence_of(result: MatchResult) -> dict[str, Any]:
    """Return the evidence of a match, ready for JSON.

    ``image0`` and ``image1`` are the prints, ``warped1`` is print 1 drawn in print 0's frame, white
    where it shows nothing; ``matches`` are lists of ``points0`` and ``points1`` (x, y),
    ``confidence`` and ``inlier``; ``displacement`` is the skin's distortion on its grid, or None;
    ``minutiae`` are those of both prints with their pairs.
    """
    found = result.alignment
    _, placed = pixels_placed(found, result.image0.shape)
    return {
        "ppi": REFERENCE_PPI,
        "image0": png_uri(result.image0),
        "image1": png_uri(result.image1),
        "warped1": png_uri(read_at(result.image1, placed, border=1.0)),
        "matches": {
            "points0": np.round(found.points0, 2).tolist(),
            "points1": np.round(found.points1, 2).tolist(),
            "confidence": np.round(found.confidence.astype(float), 4).tolist(),
            "inlier": found.inliers.tolist(),
        },
        "displacement": None if found.displacement is None else grid_of(found.displacement),
        "minutiae": minutiae_of(result),
    }


def minutiae_of(result: MatchResult) -> dict[str, Any]:
    """Return the minutiae of both prints with their pairs (:meth:`Examined.record`).

    There are none without scikit-image, nor for an image with too many; ``note`` then says so.
    """
    try:
        return examined(result).record() | {"note": ""}
    except ValueError as error:
        return {"print0": [], "print1": [], "pairs": [], "note": str(error)}


def grid_of(field: Displacement) -> dict[str, Any]:
    """Return a displacement on its grid: rows of (x, y), pixels at 500 ppi."""
    return {
        "cell_px": field.cell_px,
        "first0": list(map(float, field.first0)),
        "values": np.round(field.values, 2).tolist(),
    }
