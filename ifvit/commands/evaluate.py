"""``ifvit evaluate``: the comparisons of a data set, scored."""

from __future__ import annotations

from ifvit.commands.next_step import quoted
from ifvit.evaluation.evaluate import EvaluateConfig, evaluate
from ifvit.files import check_folder
from ifvit.weights.pretrained import module_files

Settings = EvaluateConfig


def run(config: EvaluateConfig) -> None:
    """Score a data set's comparisons."""
    module_files(config.dense_ckpt, config.matcher_ckpt)
    check_folder(config.out)
    path = evaluate(config)
    print(f"scores are in {path}\nnext: ifvit report {quoted(path)}")
    if config.matcher_ckpt is not None and config.mode == "pair":
        print(f"next: ifvit calibrate {quoted(path)} --matcher-ckpt {quoted(config.matcher_ckpt)}")
