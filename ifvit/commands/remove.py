"""``ifvit remove``: prints out of a gallery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional

from ifvit.commands.galleries import GalleryArgs, opened


@dataclass(frozen=True)
class Settings(GalleryArgs):
    """Remove prints from a gallery, by id or subject."""

    ids: Annotated[tuple[str, ...], Positional] = ()
    """Ids of prints, or subjects."""
    finger: str = ""
    """Remove only this finger of the subjects."""
    purge: bool = False
    """Remove them from older versions of the gallery too, which otherwise still hold them."""


def run(settings: Settings) -> None:
    """Remove prints."""
    if not settings.ids:
        raise ValueError("nobody to remove: expected ids or subjects that `ifvit list` shows")
    gallery = opened(settings.gallery, settings.key_file)
    removed = gallery.remove(settings.ids, finger=settings.finger, purge=settings.purge)
    kept = "" if settings.purge else "; older versions hold them until `ifvit gallery purge`"
    print(f"{len(removed)} prints removed{kept}")
