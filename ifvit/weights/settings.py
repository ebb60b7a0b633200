"""Settings as JSON, as checkpoints and runs record them; and those of earlier versions."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ifvit.config import DENSE_CONFIG, MATCH_CONFIG, NAMED_BY_GROUP, MatchConfig


def to_json(config: Any) -> str:
    """Serialise a config dataclass; the inverse of :func:`from_json`."""
    return json.dumps(dataclasses.asdict(config), sort_keys=True)


RETIRED = ("fusion_ridge", "fusion_match")
"""Settings of earlier versions that have no effect any more; the weights of the score are now in
:mod:`ifvit.comparison.score`."""

NOT_OF_PRINTS = ("impostor_ratio",)
"""Settings that Module 2 once shared with Module 1."""

OF_PAIRS = ("fusion_global", "share_global_local", "template_ratio", "margin_E")
"""Settings of an earlier Module 2 that embedded pairs, which this version cannot run."""


GROUP_OF = {
    name: group
    for config in (DENSE_CONFIG, MATCH_CONFIG)
    for group, values in dataclasses.asdict(config).items()
    if group not in NAMED_BY_GROUP
    for name in values
}
"""The group of each setting that is known by its own name."""


def grouped(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded settings in the present groups; those that belong to none stay beside them.

    Earlier versions recorded all settings but ``model`` side by side: only this function converts
    them to the present form. Settings in groups stay as they are.
    """
    made = {
        name: dict(value) if isinstance(value, dict) else value
        for name, value in settings.items()
        if name not in GROUP_OF
    }
    for name, value in settings.items():
        if name in GROUP_OF:
            made.setdefault(GROUP_OF[name], {})[name] = value
    return made


def from_json(cls: type, text: str) -> Any:
    """Rebuild a ``DenseConfig`` or ``MatchConfig`` from :func:`to_json`'s text.

    Settings that are missing have their defaults. Raises ValueError where the text has a field that
    this version does not know, or no ``model``.
    """
    values = {k: v for k, v in grouped(json.loads(text)).items() if k not in RETIRED}
    if any(name in values for name in OF_PAIRS):
        raise ValueError(
            "a Module 2 of an earlier ifvit, which embedded pairs of prints: train one with "
            "`ifvit train-match`, or use the weights that ship with ifvit"
        )
    if "model" not in values:  # the only group whose defaults say nothing of the weights
        raise ValueError("a config without the shape of the model")
    unused = NOT_OF_PRINTS * issubclass(cls, MatchConfig)
    usual = cls()
    try:
        return cls(
            **{
                name: _changed(
                    getattr(usual, name), {k: v for k, v in own.items() if k not in unused}
                )
                for name, own in values.items()
            }
        )
    except (AttributeError, TypeError) as error:
        raise ValueError(f"config written by another version of ifvit: {error}") from error


def _changed(group: Any, values: Mapping[str, Any]) -> Any:
    """Return a group with these values from JSON, whose lists become tuples."""
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return dataclasses.replace(group, **plain)


PATHS = ("checkpoint_dir", "dataset_root", "init_from", "loftr_pretrained_ckpt", "pretrained_ckpt")
"""Settings that name a place on the machine of the training."""


def without_folders(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return grouped settings that may leave the machine: only the last part of each path is
    kept."""

    def named(values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return values | {key: Path(values[key]).name for key in PATHS if values.get(key)}

    return {name: named(values) for name, values in config.items()}
