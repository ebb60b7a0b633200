"""``ifvit verify``: whether a print is that of the person who is claimed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from ifvit.commands.galleries import (
    GalleryArgs,
    check_probes,
    draw_evidence,
    opened,
    rate_text,
)
from ifvit.commands.options import SHIPPED, WeightsOptions
from ifvit.endings import flushed
from ifvit.files import check_output
from ifvit.gallery.open_set import check_rate
from ifvit.viz.figures import picture_format


@dataclass(frozen=True)
class Settings(GalleryArgs):
    """Compare a print with those of one person of a gallery."""

    id: Annotated[str, Positional] = ""
    """Id of a print, or a subject."""
    probe: Annotated[str, Positional] = ""
    """Print that is claimed to be theirs."""
    finger: str = ""
    """Compare only with this finger of the subject."""
    fmr: float = 0.001
    """False match rate of the whole claim at which it is accepted."""
    out: str | None = None
    """Write a picture of the best match to this PNG file."""
    ppi: int | None = None
    """Resolution of the probe; 500 if not given."""
    weights: WeightsOptions = SHIPPED


def run(settings: Settings) -> None:
    """Compare a print with those of one person."""
    if not settings.id or not settings.probe:
        raise ValueError("expected the id or subject that is claimed, and a print to verify")
    check_probes((settings.probe,), settings.ppi)
    check_rate("--fmr", settings.fmr)
    if settings.out is not None:
        picture_format(settings.out)
        check_output(settings.out)
    gallery = opened(settings.gallery, settings.key_file, settings.weights)
    made = gallery.verify(
        settings.id,
        settings.probe,
        finger=settings.finger,
        fmr=settings.fmr,
        ppi=settings.ppi,
    )
    for id, result in made.results:
        print(f"{id}\t{result.name1}\t{result.summary()}")
    if made.accepted is None or made.threshold is None:
        why = "the weights are not calibrated" if made.results else "no print of theirs is kept"
        raise ValueError(f"the claim cannot be decided: {why}")
    said = "accepted" if made.accepted else "rejected"
    limit = f"score from {made.threshold.value:.3f}"
    print(f"{said} at FMR {settings.fmr:g}: {limit}; FMR of the claim {rate_text(made.fmr)}")
    if settings.out is not None:
        flushed()
        draw_evidence(made.results[0][1], Path(settings.out))
