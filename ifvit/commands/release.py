"""``ifvit release``: a trained pair to share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Write a trained pair in half precision, with graphs, record and model card: to share."""

    dense_ckpt: str
    """Module 1's checkpoint."""
    matcher_ckpt: str
    """Module 2's checkpoint, of the same training."""
    out: str
    """Folder to write to."""
    name: str | None = None
    """Name of the weights; the folder's name if not given."""
    licence: str = "Apache-2.0"
    """SPDX identifier of the weights' licence."""
    summary: str | None = None
    """Description of the weights in one line; made from the settings if not given."""
    card: str | None = None
    """A model card in Markdown, without metadata; made from the files if not given."""


def run(settings: Settings) -> None:
    """Write a pair of modules to ship."""
    from ifvit.export.release import export_pair

    record = export_pair(
        settings.dense_ckpt,
        settings.matcher_ckpt,
        settings.out,
        name=settings.name,
        licence=settings.licence,
        summary=settings.summary,
        card=settings.card,
    )
    for name, value in asdict(record).items():
        print(f"{name:<14} {value}")
    size = sum(path.stat().st_size for path in Path(settings.out).glob("*.safetensors"))
    print(f"{size / 1e6:.1f} MB of weights and their record are in {settings.out}")
