"""Quality of a print, 0 to 100: how probably it is found again by its template.

It is computed from how clear the ridges are (:mod:`ifvit.features.ridge_evidence`) and how much of
the template shows them. The coefficients were fitted on synthetic prints by
``benchmarks/quality.py``; the area, the persistence of the ridges, their endings and the pose's
confidence added nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ifvit.features.print_rule import RidgeEvidence


class QualityModel(NamedTuple):
    """Coefficients of a logistic regression: how probably a print is found again. They affect no
    score, so they are no part of the fingerprint of settings."""

    bias: float = -4.21
    coherence: float = 1.41
    share: float = 5.62
    cells: float = 3.49


QUALITY_MODEL = QualityModel()


def quality_terms(found: RidgeEvidence, cells: int) -> Float[np.ndarray, "3"]:
    """Return the three terms of the quality, each the larger the better.

    They are the coherence, the share of the contrast that has the period of ridges, and the
    logarithm of the number of the template's cells that show ridges.
    """
    return np.array([found.coherence, found.share, np.log(max(cells, 10) / 200)])


def print_quality(found: RidgeEvidence, cells: int, model: QualityModel = QUALITY_MODEL) -> float:
    """Return the quality, 0 to 100, of a print whose template shows ridges in ``cells`` cells."""
    logit = model.bias + float(np.array(model[1:]) @ quality_terms(found, cells))
    return round(100 / (1 + float(np.exp(-logit))), 1)
