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
    """The person whose prints they are; if not given, those of a folder get FOLDER/FINGER by its
    layout."""
    finger: str = ""
    """The finger, such as "right index"; it may have several prints."""
    table: str | None = None
    """A CSV table of prints with a column path, and optionally subject, finger and ppi; all other
    columns are kept as metadata."""
    metadata: tuple[str, ...] = ()
    """Further labels to keep with the prints, as NAME=VALUE."""
    ppi: int | None = None
    """Resolution of the prints; 500 if not given."""
    keep_prints: bool = False
    """Keep the prints themselves. Without them a search ends at the dense maps: it has no false
    match rate, decision or evidence, and new weights need new captures. Prints are biometric
    data."""
    force: bool = False
    """Enrol prints of low quality too."""
    cluster: str | None = None
    """Let the workers of a Ray cluster embed the prints: "local", "auto", or HOST:PORT of its
    head."""
    weights: WeightsOptions = SHIPPED


def run(settings: Settings) -> None:
    """Enrol prints, and print the outcome for each."""
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
