"""The commands that say how good trained modules are: an evaluation, its report, a calibration."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from ifvit.comparison.decision import DECISION_FILE
from ifvit.data.readers import read_dataset
from ifvit.evaluation.calibrate import calibrate
from ifvit.evaluation.evaluate import EvaluateConfig, evaluate
from ifvit.evaluation.identification import RANKS, IdentifyConfig, identify
from ifvit.evaluation.protocols import print_name
from ifvit.evaluation.scores import ScoreRow
from ifvit.features.features import Features
from ifvit.files import check_folder, check_output, sha256_of
from ifvit.matcher import Matcher
from ifvit.weights.pretrained import module_files, pretrained_files


@dataclass(frozen=True)
class CalibrateArgs:
    """Keep impostor scores, so that a match can say its false match rate."""

    scores: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Tables that ``ifvit evaluate`` wrote in pair mode, of one or more data sets."""
    matcher_ckpt: str | None = None
    """Module 2's checkpoint, which the scores must be of; that which ships with ifvit if not
    given."""
    out: str | None = None
    """File to write, for ``match --calibration``; beside ``matcher_ckpt`` if not given."""


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
    dense_ckpt: str | None = None
    """Both checkpoints of a training; if not given, the weights that ship with ifvit."""
    matcher_ckpt: str | None = None


def run_evaluate(config: EvaluateConfig) -> None:
    """Score a data set's comparisons."""
    module_files(config.dense_ckpt, config.matcher_ckpt)
    check_folder(config.out)
    path = evaluate(config)
    print(f"scores are in {path}\nnext: ifvit report {shlex.quote(str(path))}")


def run_calibrate(args: CalibrateArgs) -> None:
    """Write the calibration: to a file of its own, or beside the Module 2 that is named."""
    if args.out is not None:
        out = Path(args.out)
    elif args.matcher_ckpt is not None:
        out = Path(args.matcher_ckpt).with_name(DECISION_FILE)
    else:
        raise ValueError(
            "--out is not given: expected a file to write, such as decision.json, which "
            "`ifvit match --calibration` uses; or --matcher-ckpt, to write beside weights of yours"
        )
    check_output(out)
    known = sha256_of(args.matcher_ckpt or pretrained_files().matcher)
    made = calibrate(args.scores, out, known)
    count = 0 if made.impostor is None else len(made.impostor)
    print(f"{count} impostor comparisons: FMRs from {made.fmr(np.inf):.2g}, in {out}")


def run_identify(config: IdentifyConfig) -> None:
    """Search a gallery, and print the rates."""
    module_files(config.dense_ckpt, config.matcher_ckpt)
    check_output(config.out)
    found = identify(config)
    print(f"{found.probes} probes, gallery of {found.gallery}")
    for rank in RANKS:
        if rank <= found.gallery:
            print(f"rank {rank:<3} {100 * found.cmc[rank - 1]:.2f} %")
    print(f"The whole curve is in {config.out}")


def run_report(args: ReportArgs) -> None:
    """Write a report, and print its figures."""
    from ifvit.evaluation.report import figures_table, write_report

    for name in ("report.json", "report.html"):
        check_output(Path(args.out) / name)
    draw = None if args.dataset_root is None else _drawing(args, args.dataset_root)
    found = write_report(args.scores, args.out, draw, args.worst)
    for name, value, interval in figures_table(found.figures):
        print(f"{name:<20} {value:>9}   {interval}")
    print(f"The report is in {Path(args.out) / 'report.html'}")


def _drawing(args: ReportArgs, root: str) -> Callable[[ScoreRow], bytes]:
    """Return what draws a row's match; raises ValueError there for a print that ``root`` lacks."""
    from ifvit.viz.figures import png
    from ifvit.viz.matches import draw_match

    prints = {print_name(item, root): item for item in read_dataset(root, args.ppi)}
    matcher = Matcher.from_checkpoints(args.dense_ckpt, args.matcher_ckpt)

    def features(name: str) -> Features:
        if name not in prints:
            raise ValueError(
                f"{args.scores} names {name}, which {root} does not hold: give the "
                "--dataset-root that was evaluated"
            )
        return matcher.extract(prints[name].path, prints[name].ppi)

    def draw(row: ScoreRow) -> bytes:
        return png(draw_match(matcher.match(features(row.name0), features(row.name1))))

    return draw
