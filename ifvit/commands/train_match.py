"""``ifvit train-match``: the training of Module 2."""

from __future__ import annotations

from ifvit.commands.next_step import quoted
from ifvit.config import MatchConfig
from ifvit.presets import MATCH_PRESETS
from ifvit.weights.pretrained import module1_file

Settings = MatchConfig
PRESETS = MATCH_PRESETS


def run(config: MatchConfig) -> None:
    """Train Module 2."""
    from ifvit.training.match import train_match

    path = train_match(config)
    start = config.start.pretrained_ckpt
    dense = "CKPT" if start is None else module1_file(start)
    print(f"Module 2 is in {path}")
    print(f"next: ifvit match A B --dense-ckpt {quoted(dense)} --matcher-ckpt {quoted(path)}")
