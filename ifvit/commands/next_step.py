"""The options in the ``next:`` line that training and converting print, quoted for a shell."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path

from ifvit.config import ModelConfig


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


def quoted(path: str | Path) -> str:
    """Return a path, quoted so that a shell takes it for one word."""
    return shlex.quote(str(path))
