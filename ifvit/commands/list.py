"""``ifvit list``: the prints of a gallery."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ifvit.commands.galleries import GalleryArgs, opened
from ifvit.texts import one_field

SHOWN = ("id", "subject", "finger", "name", "enrolled")


@dataclass(frozen=True)
class Settings(GalleryArgs):
    """List the prints of a gallery: id, subject, finger, name, time."""

    json: bool = False
    """Print a line of JSON for each print, with all that is not biometric."""


def run(settings: Settings) -> None:
    """List prints."""
    for one in opened(settings.gallery, settings.key_file).labels().to_pylist():
        if settings.json:
            print(json.dumps(one | {"metadata": json.loads(one["metadata"] or "{}")}))
        else:
            print("\t".join(one_field(one[name]) for name in SHOWN))
