"""``ifvit train-match``: the training of Module 2."""

from __future__ import annotations

from ifvit.commands.next_step import quoted
from ifvit.config import MatchConfig
from ifvit.presets import MATCH_PRESETS

Settings = MatchConfig
PRESETS = MATCH_PRESETS


def run(config: MatchConfig) -> None:
    """Train Module 2."""
    from ifvit.training.match import train_match

    path = train_match(config)
    dense = config.start.pretrained_ckpt or "CKPT"
    print(f"Module 2 is in {path}")
    print(f"next: ifvit match A B --dense-ckpt {quoted(dense)} --matcher-ckpt {quoted(path)}")
