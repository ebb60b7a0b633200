"""``ifvit enroll``: prints into a gallery."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from ifvit.commands.galleries import GalleryArgs, opened
from ifvit.commands.options import SHIPPED, WeightsOptions
from ifvit.data.tags import warn_of_tags
from ifvit.endings import flushed
from ifvit.texts import one_field, shortened


@dataclass(frozen=True)
class Settings(GalleryArgs):
    """Enrol prints into a gallery, which is made if there is none."""

    paths: Annotated[tuple[str, ...], Positional] = ()
    """Prints, or folders of prints."""
    subject: str = ""
    """Whose prints they are; those of a folder are otherwise FOLDER/FINGER by its layout."""
    finger: str = ""
    """Which finger, such as "right index"; one may have several prints."""
    table: str | None = None
    """A CSV table of prints: path, and where wanted subject, finger, ppi; others are metadata."""
    metadata: tuple[str, ...] = ()
    """Anything else that is to be kept with them, as NAME=VALUE."""
    ppi: int | None = None
    """Resolution of the prints; 500 if not given."""
    keep_prints: bool = False
    """Keep the prints themselves. Without them a search ends at their dense maps: no false match
    rate, no decision, no evidence, and new weights need new captures. They are biometric data."""
    force: bool = False
    """Enrol prints of low quality too."""
    cluster: str | None = None
    """Have the workers of a Ray cluster embed: "local", "auto" or HOST:PORT of its head."""
    weights: WeightsOptions = SHIPPED


def run(settings: Settings) -> None:
    """Enrol prints, and say of each what became of it."""
    from ifvit.gallery.enrolment import entries, table_entries

    if bool(settings.paths) == (settings.table is not None):
        raise ValueError("expected prints to enrol: files and folders, or a --table, not both")
    for path in settings.paths:
        if not Path(path).exists():
            raise FileNotFoundError(f"no such file or folder of prints: {path}")
    metadata = dict(_named(text) for text in settings.metadata)
    given = table_entries(settings.table, settings.ppi) if settings.table else settings.paths
    listed = list(entries(given, settings.subject, settings.finger, settings.ppi, metadata))
    warn_of_tags((str(one.name), one.ppi) for one in listed)
    counts: Counter[str] = Counter()
    gallery = opened(
        settings.gallery,
        settings.key_file,
        settings.weights,
        create=True,
        cluster=settings.cluster,
    )
    for one in gallery.enrolling(listed, keep_prints=settings.keep_prints, force=settings.force):
        counts[one.state] += 1
        print(
            "\t".join(
                [one.id or "-", one.state, one_field(one.name), shortened(one.reason)]
            ).rstrip()
        )
        flushed()
    told = ", ".join(f"{counts[state]} {state}" for state in ("enrolled", "known", "refused"))
    print(f"{told}; {len(gallery)} prints in {settings.gallery}")
    if counts["refused"]:
        raise ValueError(f"{counts['refused']} of {len(listed)} prints were refused, see above")


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"--metadata {text}: expected NAME=VALUE")
    return name, value
