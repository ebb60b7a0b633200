"""Settings as JSON, as checkpoints and runs record them; and those of earlier versions."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from ifvit.config import MatchConfig, ModelConfig


def to_json(config: Any) -> str:
    """Serialise a config dataclass; the inverse of :func:`from_json`."""
    return json.dumps(dataclasses.asdict(config), sort_keys=True)


RETIRED = ("fusion_ridge", "fusion_match")
"""Settings of earlier versions that decide nothing any more; the score's weights are now with the
score (:mod:`ifvit.comparison.score`)."""

NOT_OF_PRINTS = ("impostor_ratio",)
"""Settings that Module 2 once had in common with Module 1."""

OF_PAIRS = ("fusion_global", "share_global_local", "template_ratio", "margin_E")
"""Settings of a Module 2 that looked at pairs, which this version cannot run."""


def from_json(cls: type, text: str) -> Any:
    """Rebuild a ``DenseConfig`` or ``MatchConfig`` from :func:`to_json`'s text.

    Raises ValueError where the text has a field that this version does not know.
    """
    unused = RETIRED + NOT_OF_PRINTS * issubclass(cls, MatchConfig)
    values = {k: v for k, v in json.loads(text).items() if k not in unused}
    if any(name in values for name in OF_PAIRS):
        raise ValueError(
            "a Module 2 of an earlier ifvit, which embedded pairs of prints: train one with "
            "`ifvit train-match`, or use the weights that ship with ifvit"
        )
    model = dict(values.pop("model"))
    model["backbone_widths"] = tuple(model["backbone_widths"])
    if "zoom" in values:
        values["zoom"] = tuple(values["zoom"])
    try:
        return cls(**values, model=ModelConfig(**model))
    except TypeError as error:
        raise ValueError(f"config written by another version of ifvit: {error}") from error


PATHS = ("checkpoint_dir", "dataset_root", "init_from", "loftr_pretrained_ckpt", "pretrained_ckpt")
"""Settings that name a place on the machine of the training."""


def without_folders(config: dict[str, Any]) -> dict[str, Any]:
    """Return settings as they may leave the machine: of each path the last part alone."""
    named = {key: Path(config[key]).name for key in PATHS if config.get(key)}
    return config | named
