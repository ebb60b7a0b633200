"""The commands that use trained modules on prints: a match, a registration, templates."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ifvit.comparison.calibration import CALIBRATION_FILE, load_calibration
from ifvit.comparison.result import MatchResult
from ifvit.features.enhancer import EnhancerName
from ifvit.files import write_result
from ifvit.matcher import Matcher, match
from ifvit.weights.pretrained import checkpoint_pair


@dataclass(frozen=True)
class MatchArgs:
    """Match two prints."""

    image0: Annotated[str, tyro.conf.Positional]
    image1: Annotated[str, tyro.conf.Positional]
    out: str | None = None
    """Write a picture of the match to this PNG file."""
    json: bool = False
    """Print the whole result as JSON."""
    threshold: float | None = None
    """Accept or reject at this false match rate, such as 0.001; needs calibrated weights."""
    calibration: str | None = None
    """A file of ``ifvit calibrate``, if not the one beside Module 2's checkpoint."""
    ppi: int | tuple[int, int] | None = None
    """Resolution of both prints, or of each, as 1000 500; 500 if not given."""
    enhancer: EnhancerName = "gabor"
    """``gabor``: the built-in filter; ``pyfing``: that package's networks; ``none``."""
    canvas: int | None = None
    """Side of one canvas for all prints, pixels at the network's resolution; if not given each pair
    has one that it fits in."""
    dense_ckpt: str | None = None
    """Both checkpoints of a training; if not given, the weights that ship with ifvit."""
    matcher_ckpt: str | None = None


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


def run_match(args: MatchArgs) -> None:
    """Match two prints and print the result."""
    result = match(
        args.image0,
        args.image1,
        dense_ckpt=args.dense_ckpt,
        matcher_ckpt=args.matcher_ckpt,
        ppi=args.ppi,
        enhancer=args.enhancer,
        canvas=args.canvas,
        calibration=args.calibration,
    )
    if args.out is not None:
        from ifvit.viz.matches import draw_match

        draw_match(result, args.out)
    limit = None if args.threshold is None else _limit(result, args, args.threshold)
    accepted = None if limit is None else result.ok and result.score >= limit
    if args.json:
        print(json.dumps(json.loads(result.to_json()) | {"threshold": limit, "accepted": accepted}))
        return
    print(result.summary())
    if limit is not None:
        decision = "accepted" if accepted else "rejected"
        print(f"{decision} at FMR {args.threshold:g}, whose threshold is {limit:.3f}")


def _limit(result: MatchResult, args: MatchArgs, rate: float) -> float:
    matcher_ckpt = checkpoint_pair(args.dense_ckpt, args.matcher_ckpt).matcher
    if result.fmr is None:
        raise ValueError(
            f"--threshold is a false match rate, but {matcher_ckpt} is not calibrated for this: "
            "run `ifvit evaluate` on prints like yours, then `ifvit calibrate`"
        )
    path = args.calibration or matcher_ckpt.with_name(CALIBRATION_FILE)
    return load_calibration(path).threshold(rate)


def run_register(args: RegisterArgs) -> None:
    """Register two prints and write what there is to see."""
    from ifvit.registered_pair import register, save_displacement
    from ifvit.viz.overlay import draw_registration

    found = register(
        args.image0,
        args.image1,
        dense_ckpt=args.dense_ckpt,
        ppi=args.ppi,
        enhancer=args.enhancer,
    )
    out = Path(args.out)
    pictures = draw_registration(found, out)
    write_result(out / "registration.json", (found.to_json() + "\n").encode(), b'"name0"')
    save_displacement(found, out / "displacement.npz")
    print(found.summary())
    names = ", ".join(path.name for path in pictures)
    print(f"{names}, registration.json and displacement.npz are in {out}")


def run_embed(args: EmbedArgs) -> None:
    """Write templates."""
    from ifvit.gallery.template import embed_files, save_templates

    if not args.paths:
        raise ValueError("no prints given: expected at least one file")
    matcher = Matcher.from_checkpoints(args.dense_ckpt, args.matcher_ckpt)
    templates = embed_files(matcher, args.paths, args.ppi)
    save_templates(args.out, templates)
    print(f"{len(templates)} templates of {templates.bytes_each} bytes in {args.out}")


def run_compare(args: CompareArgs) -> None:
    """Print the score of each pair of templates."""
    from ifvit.gallery.template import load_templates, template_scores

    first, second = load_templates(args.templates0), load_templates(args.templates1)
    found = template_scores(first, second, args.stage)
    for name0, row in zip(first.names, found, strict=True):
        for name1, score in zip(second.names, row, strict=True):
            print(f"{name0}\t{name1}\t{score:.4f}")
