"""``ifvit register``: one print laid on another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from ifvit.commands.options import check_prints
from ifvit.endings import flushed
from ifvit.features.enhancer import EnhancerName
from ifvit.files import check_output, write_result

REGISTERED = (
    *("aligned.png", "overlay.png", "checkerboard.png", "field.png"),
    *("registration.json", "displacement.npz"),
)
"""The files that `ifvit register` writes into its folder."""


@dataclass(frozen=True)
class Settings:
    """Lay one print on another: aligned image, overlay, checkerboard, displacement field."""

    image0: Positional[str]
    """The print that stays as it is."""
    image1: Positional[str]
    """The print that is warped to it."""
    out: str = "registration"
    """Folder for the pictures, registration.json and displacement.npz."""
    ppi: int | tuple[int, int] | None = None
    """Resolution of both prints, or of each, as 1000 500; 500 if not given."""
    enhancer: EnhancerName = "gabor"
    """``gabor``: the built-in filter; ``pyfing``: that package's networks; ``none``."""
    dense_ckpt: str | None = None
    """Module 1's checkpoint; if not given, the weights that ship with ifvit."""


def run(settings: Settings) -> None:
    """Register two prints and write the pictures, the record and the displacement."""
    from ifvit.registered_pair import register, save_displacement
    from ifvit.viz.overlay import draw_registration

    check_prints(settings.image0, [settings.image1], settings.ppi)
    out = Path(settings.out)
    for name in REGISTERED:
        check_output(out / name)
    found = register(
        settings.image0,
        settings.image1,
        dense_ckpt=settings.dense_ckpt,
        ppi=settings.ppi,
        enhancer=settings.enhancer,
    )
    print(found.summary())
    flushed()
    pictures = draw_registration(found, out)
    write_result(out / "registration.json", (found.to_json() + "\n").encode(), b'"name0"')
    save_displacement(found, out / "displacement.npz")
    names = ", ".join(path.name for path in pictures)
    print(f"{names}, registration.json and displacement.npz are in {out}")
