"""``ifvit search``: whose a print is, of those in a gallery."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional

from ifvit.commands.galleries import (
    GalleryArgs,
    check_probes,
    draw_evidence,
    opened,
    rate_text,
)
from ifvit.commands.options import SHIPPED, WeightsOptions, check_all_read, read_each
from ifvit.endings import flushed
from ifvit.files import check_folder
from ifvit.gallery.open_set import check_rate
from ifvit.texts import one_field

if TYPE_CHECKING:
    from ifvit.gallery.answers import SearchResult


@dataclass(frozen=True)
class Settings(GalleryArgs):
    """Search a gallery for the finger of a print. "Nobody" is an answer."""

    probes: Annotated[tuple[str, ...], Positional] = ()
    """Prints to search for."""
    top: int = 10
    """Candidates to list."""
    fpir: float = 0.001
    """False positive identification rate at which somebody counts as found."""
    thorough: bool = False
    """Compare all pairs of the shortlist, even where a candidate is beyond doubt."""
    cluster: str | None = None
    """Let the workers of a Ray cluster search: "local", "auto", or HOST:PORT of its head."""
    json: bool = False
    """Print a line of JSON for each probe."""
    evidence: str | None = None
    """Folder for a picture of the match with each candidate. Prints are personal data."""
    ppi: int | None = None
    """Resolution of the probes; 500 if not given."""
    weights: WeightsOptions = SHIPPED


def run(settings: Settings) -> None:
    """Search for each probe, and print the candidates."""
    check_probes(settings.probes, settings.ppi)
    if settings.top < 1:
        raise ValueError(f"--top {settings.top}: expected at least 1")
    check_rate("--fpir", settings.fpir)
    if settings.evidence is not None:
        check_folder(settings.evidence, "--evidence")
    gallery = opened(
        settings.gallery, settings.key_file, settings.weights, cluster=settings.cluster
    )
    unreadable: list[str] = []
    for probe, features in read_each(gallery.matcher, settings.probes, settings.ppi, unreadable):
        found = gallery.search(
            features,
            top=settings.top,
            fpir=settings.fpir,
            thorough=settings.thorough,
        )
        _print(probe, found, settings)
    check_all_read(unreadable, settings.probes, "probes could not be searched for")


def _print(probe: str, found: SearchResult, settings: Settings) -> None:
    if settings.json:
        listed = [one.record for one in found.candidates]
        print(json.dumps({"probe": probe, **found.record, "candidates": listed}))
    else:
        print("\n".join(_lines(probe, found)))
    flushed()
    if settings.evidence is not None:
        for one in found.candidates:
            path = Path(settings.evidence) / f"{_called(probe, settings.probes)}_{one.id}.png"
            draw_evidence(one.result, path)


def _called(probe: str, probes: tuple[str, ...]) -> str:
    """Return what pictures of a probe are called: its stem, numbered where others have it too."""
    stem = Path(probe).stem
    alike = [path for path in dict.fromkeys(probes) if Path(path).stem == stem]
    return stem if len(alike) == 1 else f"{stem}.{1 + alike.index(probe)}"


def _lines(probe: str, found: SearchResult) -> list[str]:
    """Return an answer as lines: who it is, then the candidates."""
    called = one_field(probe)
    at = f"at FPIR {100 * found.fpir:g} %, {found.size} prints"
    if not found.decided:
        why = "the weights are not calibrated" if found.threshold is None else "no print is kept"
        head = f"{called}: undecided, since {why}; {found.size} prints"
    elif not found.found:
        head = f"{called}: nobody, {at}"
    else:
        names = [one.subject or one.id for one in found.found]
        head = f"{called}: {', '.join(dict.fromkeys(names))}, {at}"
    if found.decided and found.threshold is not None:
        beyond = ", extrapolated" if found.threshold.extrapolated else ""
        head += f": score from {found.threshold.value:.3f}{beyond}"
    lines = [head, "rank\tscore\tmaps\tFMR\tFPIR\tid\tsubject\tfinger\tname"]
    for rank, one in enumerate(found.candidates, 1):
        score = "-" if one.score is None else f"{one.score:.3f}"
        rates = rate_text(one.fmr), rate_text(one.fpir)
        whose = map(one_field, (one.id, one.subject, one.finger, one.name))
        lines.append("\t".join([str(rank), score, f"{one.map_score:.3f}", *rates, *whose]))
    if any(one.score is None for one in found.candidates):
        lines.append("score -: compared by dense maps alone")
    return lines
