"""``ifvit dedupe``: who is in a gallery twice."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from ifvit.commands.galleries import GalleryArgs, draw_evidence, opened
from ifvit.commands.options import SHIPPED, WeightsOptions
from ifvit.endings import flushed
from ifvit.files import check_folder, check_output, write_result
from ifvit.gallery.open_set import check_rate

HEADER = ("id0", "id1", "map_score", "score", "name0", "name1")


@dataclass(frozen=True)
class Settings(GalleryArgs):
    """Find who is enrolled twice in a gallery, all prints against all; resumes where it stopped."""

    out: str = "doubles.csv"
    """Table to write: the pairs, most alike first."""
    fmr: float = 1e-6
    """False match rate of one comparison at which two prints count as one finger's."""
    evidence: str | None = None
    """Folder for a picture of each pair. Prints are personal data."""
    weights: WeightsOptions = SHIPPED


def run(settings: Settings) -> None:
    """Write the pairs of prints that match though they are labelled as two fingers."""
    check_output(settings.out)
    check_rate("--fmr", settings.fmr)
    if settings.evidence is not None:
        check_folder(settings.evidence, "--evidence")
    gallery = opened(settings.gallery, settings.key_file, settings.weights)
    found = gallery.dedupe(settings.fmr)
    labels = gallery.labels().select(["id", "name"]).to_pylist()
    names = {one["id"]: one["name"] for one in labels}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for one in found:
        score = "" if one.score is None else f"{one.score:.4f}"
        both = one.id0, one.id1
        writer.writerow([*both, f"{one.map_score:.4f}", score, *(names.get(i, "") for i in both)])
    write_result(settings.out, text.getvalue().encode(), ",".join(HEADER).encode())
    count = len(labels)
    chance = settings.fmr * count * (count - 1) / 2
    print(
        f"{len(found)} pairs of {count} prints in {settings.out}; {chance:.2g} expected by chance"
    )
    flushed()
    if settings.evidence is not None:
        for one in found:
            if one.score is not None:
                path = Path(settings.evidence) / f"{one.id0}_{one.id1}.png"
                draw_evidence(gallery.match(one.id0, one.id1), path)
