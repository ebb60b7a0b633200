"""The options in the ``next:`` line that training and converting print, quoted for a shell."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path

from ifvit.config import DenseConfig, ModelConfig


def model_options(model: ModelConfig, presets: dict[str, ModelConfig]) -> str:
    """Return the options that give a verb exactly this model, with a blank before each."""
    named = next((name for name, known in presets.items() if known == model), None)
    if named is not None:
        return "" if named == "paper" else f" --preset {named}"
    options = ""
    for one in fields(ModelConfig):
        value, name = getattr(model, one.name), one.name.replace("_", "-")
        if value == getattr(presets["paper"], one.name):
            continue
        if isinstance(value, bool):
            options += f" --model.{'' if value else 'no-'}{name}"
        else:
            values = value if isinstance(value, tuple) else (value,)
            options += f" --model.{name} {' '.join(map(str, values))}"
    return options


def length_options(config: DenseConfig, presets: dict[str, DenseConfig]) -> str:
    """Return the options of a training that is shorter or longer than its preset's, with a blank
    before each: whoever tries Module 1 for a minute would wait a day for Module 2."""
    usual = next((one for one in presets.values() if one.model == config.model), presets["paper"])
    options = ""
    for name in ("epochs", "pairs_per_epoch"):
        value = getattr(config.optim, name)
        if value != getattr(usual.optim, name):
            options += f" --{name.replace('_', '-')} {value}"
    return options


def quoted(path: str | Path) -> str:
    """Return a path, quoted so that a shell takes it for one word."""
    return shlex.quote(str(path))
