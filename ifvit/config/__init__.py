"""Every setting of the method, as frozen dataclasses, from which the command line is made.

Lengths in pixels always name their resolution: ``*_px`` fields are at 500 ppi, the ``canvas`` is
at the network's own ``ppi``. Angles are in degrees.

The settings of a training lie in groups. No two groups have a field of the same name, so that each
is an option by its own name; only those of ``model`` are prefixed by the name of the group.
"""

from ifvit.config.groups import (
    DataConfig,
    HardwareConfig,
    OptimConfig,
    RunConfig,
)
from ifvit.config.module1 import (
    DENSE_CONFIG,
    DenseConfig,
    DenseDataConfig,
    DenseLossConfig,
    DenseStartConfig,
)
from ifvit.config.module2 import (
    MATCH_CONFIG,
    MatchConfig,
    MatchDataConfig,
    MatchLossConfig,
    MatchStartConfig,
)
from ifvit.config.network import CELL_DIM, REFERENCE_PPI, STRIDE, ModelConfig

TrainConfig = DenseConfig | MatchConfig
"""The settings of a training, of either module."""

NAMED_BY_GROUP = ("model",)
"""Groups whose name is a prefix of their options: ``--model.canvas``, but ``--epochs``."""

__all__ = [
    "CELL_DIM",
    "DENSE_CONFIG",
    "MATCH_CONFIG",
    "NAMED_BY_GROUP",
    "REFERENCE_PPI",
    "STRIDE",
    "DataConfig",
    "DenseConfig",
    "DenseDataConfig",
    "DenseLossConfig",
    "DenseStartConfig",
    "HardwareConfig",
    "MatchConfig",
    "MatchDataConfig",
    "MatchLossConfig",
    "MatchStartConfig",
    "ModelConfig",
    "OptimConfig",
    "RunConfig",
    "TrainConfig",
]
