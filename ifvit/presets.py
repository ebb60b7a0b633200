"""Settings that go together, by name: ``--preset NAME`` at the command line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ifvit.config import (
    DENSE_CONFIG,
    MATCH_CONFIG,
    DenseConfig,
    DenseDataConfig,
    MatchConfig,
    MatchDataConfig,
    ModelConfig,
    OptimConfig,
)

TINY_MODEL = ModelConfig(backbone_widths=(16, 32, 64), d_model=64, num_layers=4, num_heads=8)

SMALL_MODEL = replace(TINY_MODEL, canvas=160)
"""A quarter of the width, and a field of view of 16 mm: prints of most sensors fit in whole."""

SMALL_ZOOM = (0.9, 1.35)
"""Ridges of 8 to 12 px at 500 ppi for those of 9: coarser ones too, as prints that are drawn larger
have them."""

DENSE_PRESETS: dict[str, DenseConfig] = {
    "paper": replace(DENSE_CONFIG, data=replace(DENSE_CONFIG.data, hard=0.4)),
    # What a CPU trains in an hour or two, from upright prints on (`recipes/small.sh`).
    "small": DenseConfig(
        model=SMALL_MODEL,
        data=DenseDataConfig(fingers=2500, max_rotation=45.0, hard=0.4, zoom=SMALL_ZOOM),
        optim=OptimConfig(epochs=36, pairs_per_epoch=1000, batch_size=8),
    ),
    # Small batches and large steps: more is learnt of the few pairs that minutes allow.
    "tiny": DenseConfig(
        model=TINY_MODEL,
        data=DenseDataConfig(fingers=128, val_fingers=16, max_rotation=30.0, turn=0.0),
        optim=OptimConfig(epochs=10, pairs_per_epoch=240, batch_size=4, learning_rate=2e-3),
    ),
}

MATCH_PRESETS: dict[str, MatchConfig] = {
    "paper": replace(MATCH_CONFIG, data=replace(MATCH_CONFIG.data, hard=0.4)),
    # 3,300 steps of 64 fingers, two prints of each.
    "small": MatchConfig(
        model=SMALL_MODEL,
        data=MatchDataConfig(fingers=4096, val_fingers=64, hard=0.4, zoom=SMALL_ZOOM),
        optim=OptimConfig(
            epochs=33,
            pairs_per_epoch=12_800,
            batch_size=128,
            learning_rate=1e-3,
            weight_decay=2e-4,
            ema=0.999,
        ),
    ),
    # The fingers of Module 1's `tiny`, which are grown once for both.
    "tiny": MatchConfig(
        model=TINY_MODEL,
        data=MatchDataConfig(fingers=128, val_fingers=16),
        optim=OptimConfig(epochs=4, pairs_per_epoch=320, batch_size=8),
    ),
}


def preset(presets: dict[str, Any], name: str) -> Any:
    """Return the preset called ``name``; raises ValueError that lists the known names."""
    if name not in presets:
        raise ValueError(f"unknown preset {name!r}: expected one of {', '.join(sorted(presets))}")
    return presets[name]
