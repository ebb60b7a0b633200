"""The networks: backbone, transformer, matching head, and the two modules made of them.

Dimension key: B pairs, H W pixels, h w cells, N M = h·w tokens, D channels, E embedding.
"""

from ifvit.models.coarse_matching import mutual_matches
from ifvit.models.dense_reg import DenseOutput, DenseRegModel
from ifvit.models.embedding import MatcherModel, PrintCode
from ifvit.models.pose_head import PoseMap

__all__ = [
    "DenseOutput",
    "DenseRegModel",
    "MatcherModel",
    "PoseMap",
    "PrintCode",
    "mutual_matches",
]
