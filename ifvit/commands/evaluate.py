"""``ifvit evaluate``: the comparisons of a data set, scored."""

from __future__ import annotations

import shlex

from ifvit.evaluation.evaluate import EvaluateConfig, evaluate
from ifvit.files import check_folder
from ifvit.weights.pretrained import module_files

Settings = EvaluateConfig


def run(config: EvaluateConfig) -> None:
    """Score a data set's comparisons."""
    module_files(config.dense_ckpt, config.matcher_ckpt)
    check_folder(config.out)
    path = evaluate(config)
    print(f"scores are in {path}\nnext: ifvit report {shlex.quote(str(path))}")
