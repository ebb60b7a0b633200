"""``ifvit train-dense``: the training of Module 1."""

from __future__ import annotations

from ifvit.commands.next_step import length_options, model_options, quoted
from ifvit.config import DenseConfig
from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS

Settings = DenseConfig
PRESETS = DENSE_PRESETS


def run(config: DenseConfig) -> None:
    """Train Module 1."""
    from ifvit.training.dense import train_dense

    path = train_dense(config)
    own = model_options(config.model, {k: v.model for k, v in MATCH_PRESETS.items()})
    root = config.data.dataset_root
    if root != "synthetic":
        # Without it Module 2 would be trained on other prints, unnoticed.
        own += f" --dataset-root {quoted(root)}"
    own += length_options(config, DENSE_PRESETS)
    print(f"Module 1 is in {path}\nnext: ifvit train-match{own} --pretrained-ckpt {quoted(path)}")
