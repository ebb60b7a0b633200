"""Weight files: saving and loading, Module 1 into Module 2, and what a file holds.

The names below are imported when they are first used: most of them need JAX.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ifvit.files import sha256_of
    from ifvit.weights.checkpoint import (
        Metadata,
        load_dense,
        load_matcher,
        load_weights,
        read_metadata,
        save_weights,
    )
    from ifvit.weights.describe import parameter_summary
    from ifvit.weights.transfer import (
        TransferReport,
        load_module1_backbone_weights,
        load_module1_transformer_weights,
        require_module1,
        scratch_lineage,
    )

_PLACES = {
    **dict.fromkeys(("load_dense", "load_matcher", "load_weights"), "checkpoint"),
    **dict.fromkeys(("Metadata", "read_metadata", "save_weights"), "checkpoint"),
    "sha256_of": ".files",
    "parameter_summary": "describe",
    **dict.fromkeys(("TransferReport", "require_module1", "scratch_lineage"), "transfer"),
    **dict.fromkeys(
        ("load_module1_backbone_weights", "load_module1_transformer_weights"), "transfer"
    ),
}

__all__ = [
    "Metadata",
    "TransferReport",
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


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(f".{_PLACES[name]}", __name__), name)
    return found
