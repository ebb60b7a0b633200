"""``ifvit demo``: the whole path in one run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Train both modules for a few minutes on synthetic prints, match, and write a report."""

    out: str = "demo"
    """Folder for checkpoints, prints, pictures and the report."""
    seed: int = 0
    """Seed of the prints and of the training."""


def run(settings: Settings) -> None:
    """Run the demo."""
    from ifvit.demo import demo

    demo(settings.out, settings.seed)
