"""``ifvit runs``: the trainings below a folder."""

from __future__ import annotations

from dataclasses import dataclass

from tyro.conf import Positional


@dataclass(frozen=True)
class Settings:
    """List the training runs in a folder and below: how far, how good, what differs."""

    folder: Positional[str] = "checkpoints"
    """Folder to look through."""


def run(settings: Settings) -> None:
    """List runs."""
    from ifvit.training.history import runs_below, summary

    print(summary(runs_below(settings.folder)))
