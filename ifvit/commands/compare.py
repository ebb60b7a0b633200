"""``ifvit compare``: stored templates with stored templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

from ifvit.texts import one_field


@dataclass(frozen=True)
class Settings:
    """Compare stored templates: every one of the first file with every one of the second."""

    templates0: Positional[str]
    """File of templates that `ifvit embed` wrote."""
    templates1: Positional[str]
    """Another such file, or the same."""
    stage: Literal["index", "map"] = "map"
    """Compare dense maps, or index vectors alone: less certain, and a hundred times as fast."""


def run(settings: Settings) -> None:
    """Print the score of each pair of templates."""
    from ifvit.gallery.template import load_templates, template_scores

    first, second = load_templates(settings.templates0), load_templates(settings.templates1)
    found = template_scores(first, second, settings.stage)
    for name0, row in zip(first.names, found, strict=True):
        for name1, score in zip(second.names, row, strict=True):
            print(f"{one_field(name0)}\t{one_field(name1)}\t{score:.4f}")
