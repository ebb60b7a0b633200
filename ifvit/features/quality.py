"""One number for a print, 0 to 100: how probably it is found again by its template.

It says so by how clear the ridges are (:mod:`ifvit.features.ridge_evidence`) and how much of the
template shows them. The coefficients were fitted on synthetic prints by ``benchmarks/quality.py``;
the area, the persistence of the ridges, their endings and the pose's confidence added nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ifvit.features.ridge_evidence import RidgeEvidence


class QualityModel(NamedTuple):
    """Logistic regression of finding a print again. They decide no score, and are no part of its
    fingerprint."""

    bias: float = -4.21
    coherence: float = 1.41
    share: float = 5.62
    cells: float = 3.49


QUALITY_MODEL = QualityModel()


def quality_terms(found: RidgeEvidence, cells: int) -> Float[np.ndarray, "3"]:
    """Return what quality is computed from, each the larger the better.

    Coherence, the share of the ridges' period, and the logarithm of the number of the template's
    cells that show ridges.
    """
    return np.array([found.coherence, found.share, np.log(max(cells, 10) / 200)])


def print_quality(found: RidgeEvidence, cells: int, model: QualityModel = QUALITY_MODEL) -> float:
    """Return the quality of a print whose template shows ridges in so many cells, 0 to 100."""
    logit = model.bias + float(np.array(model[1:]) @ quality_terms(found, cells))
    return round(100 / (1 + float(np.exp(-logit))), 1)
