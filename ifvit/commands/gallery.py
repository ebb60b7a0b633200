"""``ifvit gallery``: the upkeep of a gallery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tyro.conf import Positional

from ifvit.commands.galleries import opened
from ifvit.commands.options import SHIPPED, WeightsOptions
from ifvit.texts import shortened

Action = Literal["upgrade", "compact", "purge", "check", "count", "backup"]


@dataclass(frozen=True)
class Settings:
    """Look after a gallery.

    ``upgrade`` embeds its prints anew by other weights or settings, ``compact`` joins its small
    files, ``purge`` erases older versions with the prints that were removed, ``check`` compares
    every print with its checksum, ``count`` counts the prints, ``backup`` copies the gallery to
    ``--out``.
    """

    action: Positional[Action]
    """What to do."""
    gallery: Positional[str]
    """Folder of the gallery, or the URI of an object store that LanceDB supports."""
    out: str | None = None
    """Folder for a backup, which must be new."""
    key_file: str | None = None
    """File with the key of an encrypted gallery; if not given, IFVIT_GALLERY_KEY is the key."""
    weights: WeightsOptions = SHIPPED


def run(settings: Settings) -> None:
    """Look after a gallery."""
    action, out = settings.action, settings.out
    if (action == "backup") != (out is not None):
        raise ValueError("--out is where a backup goes: expected `ifvit gallery backup G --out D`")
    gallery = opened(settings.gallery, settings.key_file, settings.weights)
    if action == "upgrade":
        _upgrade(gallery)
    elif action in ("compact", "purge"):
        gallery.compact(purge=action == "purge")
        print(f"{len(gallery)} prints in {settings.gallery}")
    elif action == "check":
        _check(gallery)
    elif action == "backup":
        gallery.back_up(out)
        print(f"{len(gallery)} prints copied to {out}")
    else:
        print(len(gallery))


def _upgrade(gallery: Any) -> None:
    done, without = gallery.upgrade()
    print(f"{done} prints embedded anew")
    if without:
        raise ValueError(
            f"{len(without)} prints are not kept, and cannot be embedded anew: "
            f"{shortened(', '.join(without), 200)}; remove them, then enrol them again"
        )


def _check(gallery: Any) -> None:
    if damaged := gallery.store.damaged():
        listed = shortened(", ".join(damaged), 250)
        raise ValueError(f"{len(damaged)} prints do not hold what was written: {listed}")
    print(f"{len(gallery)} prints, each as it was written")
