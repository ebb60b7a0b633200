"""The networks: backbone, transformer, matching head, and the two modules made of them.

Dimension key: B pairs, H W pixels, h w cells, N M = h·w tokens, D channels, E embedding.
"""

from ifvit.models.matcher import MatcherInput, MatcherModel, MatcherOutput
from ifvit.models.matching import mutual_matches
from ifvit.models.registration import DenseOutput, DenseRegModel

__all__ = [
    "DenseOutput",
    "DenseRegModel",
    "MatcherInput",
    "MatcherModel",
    "MatcherOutput",
    "mutual_matches",
]
