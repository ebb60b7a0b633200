"""The commands that use trained modules: a match, templates, an evaluation and its report."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from ifvit.data.readers import read_dataset
from ifvit.evaluation.calibrate import calibrate
from ifvit.evaluation.evaluate import EvaluateConfig, evaluate
from ifvit.evaluation.identification import RANKS, IdentifyConfig, identify
from ifvit.evaluation.protocols import print_name
from ifvit.evaluation.scores import ScoreRow
from ifvit.pipeline.calibration import CALIBRATION_FILE, load_calibration
from ifvit.pipeline.canvas import Canvas
from ifvit.pipeline.enhancer import EnhancerName
from ifvit.pipeline.match import DENSE_CKPT, MATCHER_CKPT, match
from ifvit.pipeline.matcher import Matcher
from ifvit.pipeline.result import MatchResult
from ifvit.weights.storage import sha256_of


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
    ppi: int | None = None
    """Resolution of both prints; 500 if not given."""
    enhancer: EnhancerName = "gabor"
    """``gabor``: the built-in filter; ``pyfing``: that package's networks; ``none``."""
    canvas: int | None = None
    """Side of the canvas, pixels at the network's resolution, to be larger than in training."""
    dense_ckpt: str = DENSE_CKPT
    matcher_ckpt: str = MATCHER_CKPT


@dataclass(frozen=True)
class RegisterArgs:
    """Lay one print on another: aligned image, overlay, checkerboard, displacement field."""

    image0: Annotated[str, tyro.conf.Positional]
    image1: Annotated[str, tyro.conf.Positional]
    out: str = "registration"
    """Folder for the pictures, registration.json and displacement.npz."""
    ppi: int | None = None
    """Resolution of both prints; 500 if not given."""
    enhancer: EnhancerName = "gabor"
    """``gabor``: the built-in filter; ``pyfing``: that package's networks; ``none``."""
    dense_ckpt: str = DENSE_CKPT


@dataclass(frozen=True)
class CalibrateArgs:
    """Keep impostor scores beside the weights, so that a match can say its false match rate."""

    scores: Annotated[str, tyro.conf.Positional]
    """A table that ``ifvit evaluate`` wrote in pair mode."""
    matcher_ckpt: str = MATCHER_CKPT
    """Module 2's checkpoint, which the scores must be of."""


@dataclass(frozen=True)
class EmbedArgs:
    """Make stand-alone templates of prints: fixed length, to be stored and compared."""

    paths: Annotated[tuple[str, ...], tyro.conf.Positional]
    out: str = "templates.npz"
    ppi: int | None = None
    """Resolution of the prints; 500 if not given."""
    dense_ckpt: str = DENSE_CKPT
    matcher_ckpt: str = MATCHER_CKPT


@dataclass(frozen=True)
class CompareArgs:
    """Compare stored templates: every one of the first file with every one of the second."""

    templates0: Annotated[str, tyro.conf.Positional]
    templates1: Annotated[str, tyro.conf.Positional]


@dataclass(frozen=True)
class ReportArgs:
    """Turn a table of scores into figures with intervals, curves and the worst pairs."""

    scores: Annotated[str, tyro.conf.Positional]
    out: str = "report"
    """Folder for report.html and report.json."""
    dataset_root: str | None = None
    """The folder of the prints: the worst pairs are then drawn. Prints are personal data."""
    ppi: int | None = None
    worst: int = 5
    """Pairs to list at each end."""
    dense_ckpt: str = DENSE_CKPT
    matcher_ckpt: str = MATCHER_CKPT


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
    )
    if args.out is not None:
        from ifvit.viz import draw_match

        draw_match(result, args.out)
    limit = None if args.threshold is None else _limit(result, args.threshold, args.matcher_ckpt)
    accepted = None if limit is None else result.ok and result.score >= limit
    if args.json:
        print(json.dumps(json.loads(result.to_json()) | {"threshold": limit, "accepted": accepted}))
        return
    print(result.summary())
    if limit is not None:
        decision = "accepted" if accepted else "rejected"
        print(f"{decision} at FMR {args.threshold:g}, whose threshold is {limit:.3f}")


def _limit(result: MatchResult, rate: float, matcher_ckpt: str) -> float:
    if result.fmr is None:
        raise ValueError(
            f"--threshold is a false match rate, but {matcher_ckpt} is not calibrated: run "
            "`ifvit evaluate` on prints like yours, then `ifvit calibrate`"
        )
    return load_calibration(Path(matcher_ckpt).with_name(CALIBRATION_FILE)).threshold(rate)


def run_calibrate(args: CalibrateArgs) -> None:
    """Write the calibration beside Module 2's checkpoint."""
    out = Path(args.matcher_ckpt).with_name(CALIBRATION_FILE)
    known = sha256_of(args.matcher_ckpt)
    made = calibrate(args.scores, out, known)
    print(f"{len(made.impostor)} impostor comparisons: FMRs from {made.fmr(np.inf):.2g}, in {out}")


def run_register(args: RegisterArgs) -> None:
    """Register two prints and write what there is to see."""
    from ifvit.overlay import draw_registration
    from ifvit.pipeline.registration import register, save_displacement

    found = register(
        args.image0,
        args.image1,
        dense_ckpt=args.dense_ckpt,
        ppi=args.ppi,
        enhancer=args.enhancer,
    )
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    pictures = draw_registration(found, out)
    (out / "registration.json").write_text(found.to_json() + "\n")
    save_displacement(found, out / "displacement.npz")
    print(found.summary())
    names = ", ".join(path.name for path in pictures)
    print(f"{names}, registration.json and displacement.npz are in {out}")


def run_embed(args: EmbedArgs) -> None:
    """Write templates."""
    from ifvit.pipeline.template import embed_files, save_templates

    if not args.paths:
        raise ValueError("no prints given: expected at least one file")
    matcher = Matcher.from_checkpoints(args.dense_ckpt, args.matcher_ckpt)
    templates = embed_files(matcher, args.paths, args.ppi)
    save_templates(args.out, templates)
    size = templates.embeddings[0].nbytes
    print(f"{len(templates)} templates of {size} bytes in {args.out}")


def run_compare(args: CompareArgs) -> None:
    """Print the score of each pair of templates."""
    from ifvit.pipeline.template import load_templates, template_scores

    first, second = load_templates(args.templates0), load_templates(args.templates1)
    found = template_scores(first, second)
    for name0, row in zip(first.names, found, strict=True):
        for name1, score in zip(second.names, row, strict=True):
            print(f"{name0}\t{name1}\t{score:.4f}")


def run_evaluate(config: EvaluateConfig) -> None:
    """Score a data set's comparisons."""
    path = evaluate(config)
    print(f"scores are in {path}\nnext: ifvit report {path}")


def run_identify(config: IdentifyConfig) -> None:
    """Search a gallery, and print the rates."""
    found = identify(config)
    print(f"{found.probes} probes, gallery of {found.gallery}")
    for rank in RANKS:
        if rank <= found.gallery:
            print(f"rank {rank:<3} {100 * found.cmc[rank - 1]:.2f} %")
    print(f"The whole curve is in {config.out}")


def run_report(args: ReportArgs) -> None:
    """Write a report, and print its figures."""
    from ifvit.evaluation.report import figures_table, write_report

    draw = None if args.dataset_root is None else _drawing(args, args.dataset_root)
    found = write_report(args.scores, args.out, draw, args.worst)
    for name, value, interval in figures_table(found.figures):
        print(f"{name:<20} {value:>9}   {interval}")
    print(f"The report is in {Path(args.out) / 'report.html'}")


def _drawing(args: ReportArgs, root: str) -> Callable[[ScoreRow], bytes]:
    """Return what draws a row's match; raises ValueError there for a print that ``root`` lacks."""
    from ifvit.viz import draw_match, png

    prints = {print_name(item, root): item for item in read_dataset(root, args.ppi)}
    matcher = Matcher.from_checkpoints(args.dense_ckpt, args.matcher_ckpt)

    def canvas(name: str) -> Canvas:
        if name not in prints:
            raise ValueError(
                f"{args.scores} names {name}, which {root} does not hold: give the "
                "--dataset-root that was evaluated"
            )
        return matcher.registrar.prepare(
            matcher.registrar.load(prints[name].path, prints[name].ppi)
        )

    def draw(row: ScoreRow) -> bytes:
        canvas0, canvas1 = canvas(row.name0), canvas(row.name1)
        return png(draw_match(matcher.match_images(canvas0, canvas1)))

    return draw
