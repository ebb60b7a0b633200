"""The commands that use trained modules: a match, templates, an evaluation and its report."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from ifvit.data.readers import known_ppi
from ifvit.evaluation.evaluate import EvaluateConfig, evaluate
from ifvit.evaluation.identification import RANKS, IdentifyConfig, identify
from ifvit.evaluation.scores import ScoreRow
from ifvit.pipeline.match import DENSE_CKPT, MATCHER_CKPT, Matcher, match


@dataclass(frozen=True)
class MatchArgs:
    """Match two prints."""

    image0: Annotated[str, tyro.conf.Positional]
    image1: Annotated[str, tyro.conf.Positional]
    out: str | None = None
    """Write a picture of the match to this PNG file."""
    json: bool = False
    """Print the whole result as JSON."""
    ppi: int | None = None
    """Resolution of both prints; 500 if not given."""
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
    dense_ckpt: str = DENSE_CKPT


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
    )
    if args.out is not None:
        from ifvit.viz import draw_match

        draw_match(result, args.out)
    if args.json:
        print(result.to_json())
    else:
        print(result.summary())


def run_register(args: RegisterArgs) -> None:
    """Register two prints and write what there is to see."""
    from ifvit.overlay import draw_registration
    from ifvit.pipeline.registration import register, save_displacement

    found = register(args.image0, args.image1, dense_ckpt=args.dense_ckpt, ppi=args.ppi)
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

    draw = None if args.dataset_root is None else partial(_draw_row, args, Path(args.dataset_root))
    found = write_report(args.scores, args.out, draw, args.worst)
    for name, value, interval in figures_table(found.figures):
        print(f"{name:<20} {value:>9}   {interval}")
    print(f"The report is in {Path(args.out) / 'report.html'}")


def _draw_row(args: ReportArgs, root: Path, row: ScoreRow) -> bytes:
    from ifvit.viz import draw_match, png

    result = match(
        root / row.name0,
        root / row.name1,
        dense_ckpt=args.dense_ckpt,
        matcher_ckpt=args.matcher_ckpt,
        ppi=args.ppi or known_ppi(root),
    )
    return png(draw_match(result))
