"""What a verb that trains or converts says of the next one: options that a shell takes as such."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path

from ifvit.config import ModelConfig


def model_options(model: ModelConfig, presets: dict[str, ModelConfig]) -> str:
    """Return the options by which a verb gets this very model, with a blank before each."""
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
    """Return a path as a shell takes it for one word."""
    return shlex.quote(str(path))
