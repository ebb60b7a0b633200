"""The commands that use trained modules on prints: a registration, templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ifvit.config import REFERENCE_PPI
from ifvit.data.given import each_ppi
from ifvit.data.images import check_image
from ifvit.data.prints import check_ppi, warn_of_several
from ifvit.data.tags import warn_of_tags
from ifvit.endings import flushed
from ifvit.features.enhancer import EnhancerName
from ifvit.files import check_output, write_result
from ifvit.matcher import Matcher
from ifvit.texts import shortened
from ifvit.weights.pretrained import module_files

REGISTERED = (
    *("aligned.png", "overlay.png", "checkerboard.png", "field.png"),
    *("registration.json", "displacement.npz"),
)
"""What `ifvit register` writes into its folder."""


@dataclass(frozen=True)
class RegisterArgs:
    """Lay one print on another: aligned image, overlay, checkerboard, displacement field."""

    image0: Annotated[str, tyro.conf.Positional]
    image1: Annotated[str, tyro.conf.Positional]
    out: str = "registration"
    """Folder for the pictures, registration.json and displacement.npz."""
    ppi: int | tuple[int, int] | None = None
    """Resolution of both prints, or of each, as 1000 500; 500 if not given."""
    enhancer: EnhancerName = "gabor"
    """``gabor``: the built-in filter; ``pyfing``: that package's networks; ``none``."""
    dense_ckpt: str | None = None
    """Module 1's checkpoint; if not given, the weights that ship with ifvit."""


@dataclass(frozen=True)
class EmbedArgs:
    """Make stand-alone templates of prints: fixed length, to be stored and compared."""

    paths: Annotated[tuple[str, ...], tyro.conf.Positional]
    out: str = "templates.npz"
    ppi: int | None = None
    """Resolution of the prints; 500 if not given."""
    dense_ckpt: str | None = None
    """Both checkpoints of a training; if not given, the weights that ship with ifvit."""
    matcher_ckpt: str | None = None


@dataclass(frozen=True)
class CompareArgs:
    """Compare stored templates: every one of the first file with every one of the second."""

    templates0: Annotated[str, tyro.conf.Positional]
    templates1: Annotated[str, tyro.conf.Positional]
    stage: Literal["index", "map"] = "map"
    """Compare dense maps, or index vectors alone: less certain, and a hundred times as fast."""


def check_prints(
    probe: str,
    others: Sequence[str],
    ppi: int | tuple[int, int] | None,
    *,
    skipping: bool = False,
) -> None:
    """Raise for a file that is no image, and for a resolution that is none, before any work.

    Where the command is ``skipping`` others that cannot be read, the first of them alone counts.
    """
    ppi0, ppi1 = each_ppi(ppi)
    both = [(probe, ppi0), *((path, ppi1) for path in others)]
    for path, own in both[:2] if skipping else both:
        check_image(path)
        check_ppi(REFERENCE_PPI if own is None else own)
    warn_of_tags(both)


def run_register(args: RegisterArgs) -> None:
    """Register two prints and write what there is to see."""
    from ifvit.registered_pair import register, save_displacement
    from ifvit.viz.overlay import draw_registration

    check_prints(args.image0, [args.image1], args.ppi)
    out = Path(args.out)
    for name in REGISTERED:
        check_output(out / name)
    found = register(
        args.image0,
        args.image1,
        dense_ckpt=args.dense_ckpt,
        ppi=args.ppi,
        enhancer=args.enhancer,
    )
    for name, image in ((args.image0, found.image0), (args.image1, found.image1)):
        warn_of_several(image, REFERENCE_PPI, name)
    print(found.summary())
    flushed()
    pictures = draw_registration(found, out)
    write_result(out / "registration.json", (found.to_json() + "\n").encode(), b'"name0"')
    save_displacement(found, out / "displacement.npz")
    names = ", ".join(path.name for path in pictures)
    print(f"{names}, registration.json and displacement.npz are in {out}")


def run_embed(args: EmbedArgs) -> None:
    """Write templates."""
    from ifvit.gallery.template import check_names, embed_files, save_templates

    if not args.paths:
        raise ValueError("no prints given: expected at least one file")
    check_output(args.out)
    check_ppi(REFERENCE_PPI if args.ppi is None else args.ppi)
    check_names(args.paths)
    warn_of_tags((path, args.ppi) for path in args.paths)
    module_files(args.dense_ckpt, args.matcher_ckpt)
    matcher = Matcher.from_checkpoints(args.dense_ckpt, args.matcher_ckpt)
    templates, unreadable = embed_files(matcher, args.paths, args.ppi)
    if templates is not None:
        save_templates(args.out, templates)
        print(f"{len(templates)} templates of {templates.bytes_each} bytes in {args.out}")
    if unreadable:
        listed = ", ".join(unreadable)
        raise ValueError(
            f"{len(unreadable)} of {len(args.paths)} prints have no template, the reasons stand "
            f"above: {shortened(listed, 250)}"
        )


def run_compare(args: CompareArgs) -> None:
    """Print the score of each pair of templates."""
    from ifvit.gallery.template import load_templates, template_scores

    first, second = load_templates(args.templates0), load_templates(args.templates1)
    found = template_scores(first, second, args.stage)
    for name0, row in zip(first.names, found, strict=True):
        for name1, score in zip(second.names, row, strict=True):
            print(f"{name0}\t{name1}\t{score:.4f}")
