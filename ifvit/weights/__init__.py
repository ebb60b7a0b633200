"""Weight files: saving and loading, Module 1 into Module 2, and what a file holds."""

from ifvit.files import sha256_of
from ifvit.weights.checkpoint import (
    Metadata,
    load_dense,
    load_matcher,
    load_weights,
    read_metadata,
    save_weights,
)
from ifvit.weights.describe import describe, parameter_summary
from ifvit.weights.transfer import (
    TransferReport,
    load_module1_backbone_weights,
    load_module1_transformer_weights,
    require_module1,
    scratch_lineage,
)

__all__ = [
    "Metadata",
    "TransferReport",
    "describe",
    "load_dense",
    "load_matcher",
    "load_module1_backbone_weights",
    "load_module1_transformer_weights",
    "load_weights",
    "parameter_summary",
    "read_metadata",
    "require_module1",
    "save_weights",
    "scratch_lineage",
    "sha256_of",
]
