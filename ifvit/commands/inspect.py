"""``ifvit inspect``: the contents of a file of weights."""

from __future__ import annotations

from dataclasses import dataclass

from tyro.conf import Positional


@dataclass(frozen=True)
class Settings:
    """Show a checkpoint's tree, counts, config, epoch, metrics and lineage.

    The exit code is 2 if the file is not usable.
    """

    ckpt: Positional[str]
    """File of weights: a checkpoint of either module, or converted LoFTR weights."""


def run(settings: Settings) -> None:
    """Describe a checkpoint."""
    from ifvit.weights.describe import describe

    print(describe(settings.ckpt))
