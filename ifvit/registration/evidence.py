"""The evidence that an alignment gives on a pair: how well ridges, blocks and matches agree."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

AGREES = 0.5
"""Correlation of a block's ridges from which it counts as agreeing."""


class Evidence(NamedTuple):
    """The evidence that an alignment gives on a pair, in the order of the weights of
    :class:`ifvit.comparison.score.Fusion`."""

    ridge_ncc: float
    block_share: float
    coverage: float


def block_share(block_ncc: Float[np.ndarray, "h w"]) -> float:
    """Return the share of blocks whose ridges agree (:data:`AGREES`), of those that were compared.

    Each block was compared where its own skin lies (:mod:`ifvit.registration.elastic`), so that
    skin counts even where it was pulled farther than the correlation as a whole can follow.
    """
    told = block_ncc != 0
    return float((block_ncc > AGREES).sum() / max(told.sum(), 1))
