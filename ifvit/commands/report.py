"""``ifvit report``: the figures of a table of scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from ifvit.commands.options import SHIPPED, WeightsOptions
from ifvit.data.names import print_name
from ifvit.data.readers import read_dataset
from ifvit.evaluation.resume import check_weights
from ifvit.evaluation.scores import ScoreRow
from ifvit.features.features import Features
from ifvit.files import check_output


@dataclass(frozen=True)
class Settings:
    """Turn a table of scores into figures with intervals, curves and the worst pairs."""

    scores: Positional[str]
    """Table that ``ifvit evaluate`` wrote."""
    out: str = "report"
    """Folder for report.html and report.json."""
    dataset_root: str | None = None
    """The folder of the prints: the worst pairs are then drawn. Prints are personal data."""
    ppi: int | None = None
    """Resolution of the prints, where the data set is not a known one."""
    worst: int = 5
    """Number of pairs to list: of the worst genuine ones, and of the worst impostor ones."""
    weights: WeightsOptions = SHIPPED


def run(settings: Settings) -> None:
    """Write a report, and print its figures."""
    from ifvit.evaluation.report import figures_table, write_report

    out, root = Path(settings.out), settings.dataset_root
    for name in ("report.json", "report.html"):
        check_output(out / name)
    draw = None if root is None else _drawing(settings, root)
    found = write_report(settings.scores, settings.out, draw, settings.worst)
    for name, value, interval in figures_table(found.figures):
        print(f"{name:<20} {value:>9}   {interval}")
    lost = found.acquisition
    if lost["failed"]:
        print(
            f"{lost['failed']:.0f} of {lost['prints']:.0f} prints could not be processed: "
            f"FTA {100 * lost['FTA']:.2f} %; FRR counts them too, and is in the report"
        )
    print(f"The report is in {out / 'report.html'}")


def _drawing(settings: Settings, root: str) -> Callable[[ScoreRow], bytes]:
    """Return a function that draws a row's match; it raises ValueError for a print that ``root``
    lacks."""
    from ifvit.viz.figures import png
    from ifvit.viz.matches import draw_match

    prints = {print_name(item, root): item for item in read_dataset(root, settings.ppi)}
    matcher = settings.weights.matcher()
    decision = matcher.decision
    check_weights(settings.scores, decision.dense_sha256, decision.matcher_sha256)

    def features(name: str) -> Features:
        if name not in prints:
            raise ValueError(
                f"{settings.scores} names {name}, which {root} does not hold: give the "
                "--dataset-root that was evaluated"
            )
        return matcher.extract(prints[name].path, prints[name].ppi)

    def draw(row: ScoreRow) -> bytes:
        return png(draw_match(matcher.match(features(row.name0), features(row.name1))))

    return draw
