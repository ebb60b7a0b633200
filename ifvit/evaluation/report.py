"""From a table of scores to a report: figures with their intervals, curves, the worst pairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ifvit.evaluation.acquisition import Acquisition, acquisition, compared
from ifvit.evaluation.bootstrap import Estimate, estimates
from ifvit.evaluation.discard import DiscardCurve, discard_curve
from ifvit.evaluation.page import page, picture, table
from ifvit.evaluation.plots import det_plot, discard_plot, score_histogram
from ifvit.evaluation.resume import warn_of_parts
from ifvit.evaluation.scores import SCORES, ScoreRow, read_scores, split_scores
from ifvit.files import write_result

FNMR_AT = (0.05, 0.01, 0.001)
"""FMRs at which FNMR is reported, beside those that have names."""

MADE_BY = b"verification report"
"""The text with which both files of a report begin."""

DISCARDED = (0.0, 0.05, 0.1, 0.2)
"""Shares of discarded comparisons whose FNMR is reported."""

Draw = Callable[[ScoreRow], bytes]
"""A function from a comparison to the PNG of its match."""


@dataclass(frozen=True)
class Report:
    """The figures of a table of scores. Rates are shares; intervals have a confidence of 95 %."""

    counts: dict[str, int]
    figures: dict[str, Estimate]
    """Figures of the fused score, over the comparisons that were made."""
    acquisition: dict[str, float]
    """Prints that could not be processed, their share (FTA), and the false rejection rates that
    count them too, at the FMRs at which FNMR is reported."""
    by_branch: dict[str, dict[str, float]]
    """EER and AUC of each branch by itself."""
    ridge_ncc: dict[str, float]
    """Median correlation of the ridges after alignment, genuine and impostor; NaN where a kind has
    none, as with templates."""
    worst_genuine: list[ScoreRow]
    """The lowest of the genuine comparisons, those that did not align first."""
    worst_impostor: list[ScoreRow]
    """The highest of the impostor comparisons."""
    discard: dict[str, float]
    """FNMR where comparisons of low quality are discarded, at a threshold at which a tenth fails,
    and the gain (:mod:`ifvit.evaluation.discard`); empty where no quality is known."""

    def to_json(self) -> str:
        """Return all of it as JSON."""
        figures = {name: found._asdict() for name, found in self.figures.items()}
        worst = {
            "genuine": [vars(row) for row in self.worst_genuine],
            "impostor": [vars(row) for row in self.worst_impostor],
        }
        values = {"counts": self.counts, "figures": figures, "by_branch": self.by_branch}
        values = {"ifvit": "verification report", **values, "acquisition": self.acquisition}
        values |= {"ridge_ncc": self.ridge_ncc, "discard": self.discard, "worst": worst}
        text = json.dumps(values, indent=2)
        return text.replace(": NaN", ": null") + "\n"


def summarise(
    rows: Sequence[ScoreRow],
    fnmr_at: Sequence[float] = FNMR_AT,
    *,
    worst: int = 5,
    samples: int = 1000,
    seed: int = 0,
) -> Report:
    """Compute a report's figures.

    Two prints that do not align have the score -inf: they count in every FNMR and never in an FMR.
    Comparisons with a print that could not be processed are left out, and are counted by
    themselves (:mod:`ifvit.evaluation.acquisition`). Raises ValueError where no genuine or no
    impostor comparison was made.
    """
    counts, lost = _counts(rows), acquisition(rows)
    rows = compared(rows)
    scores = np.array([row.score if row.status == "ok" else -np.inf for row in rows])
    labels = [row.label for row in rows]
    fingers = [row.finger0 for row in rows], [row.finger1 for row in rows]
    figures = estimates(scores, labels, *fingers, fnmr_at, samples=samples, seed=seed)
    by_branch = {}
    for name in SCORES:
        single = estimates(*_labelled(rows, name), *fingers, samples=0)
        by_branch[name] = {"EER": single["EER"].value, "AUC": single["AUC"].value}
    order = np.argsort(scores, kind="stable")
    genuine = [rows[i] for i in order if rows[i].label]
    impostor = [rows[i] for i in order[::-1] if not rows[i].label]
    ncc = _ridge_medians(rows)
    ends = genuine[:worst], impostor[:worst]
    said = _acquisition_figures(lost, figures)
    return Report(counts, figures, said, by_branch, ncc, *ends, _discard_figures(rows))


def _acquisition_figures(lost: Acquisition, figures: dict[str, Estimate]) -> dict[str, float]:
    rejected = {
        name.replace("FNMR", "FRR"): lost.frr(found.value)
        for name, found in figures.items()
        if name.startswith("FNMR at")
    }
    return {"prints": lost.prints, "failed": lost.failed_prints, "FTA": lost.fta, **rejected}


def curve_of(rows: Sequence[ScoreRow]) -> DiscardCurve | None:
    """Return the error-versus-discard curve of the fused score; None without genuine qualities.

    Prints that could not be processed have no quality, and their comparisons are left out.
    """
    known = [row for row in rows if row.label and np.isfinite(row.quality0 + row.quality1)]
    if not known:
        return None
    scores = [row.score if row.status == "ok" else -np.inf for row in known]
    return discard_curve(scores, [min(row.quality0, row.quality1) for row in known])


def _discard_figures(rows: Sequence[ScoreRow]) -> dict[str, float]:
    curve = curve_of(rows)
    if curve is None:
        return {}
    found = {f"FNMR, {100 * share:g} % discarded": curve.at(share) for share in DISCARDED}
    return {**found, "gain": curve.gain()}


def write_report(
    scores_csv: str | Path, out: str | Path, draw: Draw | None = None, worst: int = 5
) -> Report:
    """Write OUT/report.html and OUT/report.json from a table of scores.

    ``draw`` makes the pictures of the worst pairs; without it they are listed. Raises
    FileNotFoundError and ValueError as ``read_scores`` and :func:`summarise`.
    """
    if worst < 0:
        raise ValueError(f"--worst {worst}: expected a number of pairs, 0 or more")
    rows = read_scores(scores_csv)
    warn_of_parts(scores_csv, rows)
    found = summarise(rows, worst=worst)
    out = Path(out)
    text = _render(found, rows, draw)
    write_result(out / "report.json", found.to_json().encode(), MADE_BY)
    write_result(out / "report.html", text.encode("utf-8", "backslashreplace"), MADE_BY)
    return found


def figures_table(figures: dict[str, Estimate]) -> list[list[str]]:
    """Return the rows of the figures' table, rates in per cent."""
    return [
        [name, f"{100 * f.value:.2f} %", f"{100 * f.low:.2f} to {100 * f.high:.2f} %"]
        for name, f in figures.items()
    ]


def acquisition_table(found: dict[str, float]) -> list[list[str]]:
    """Return the rows of the table of prints that could not be processed, rates in per cent."""
    counts = [[name, f"{found[name]:.0f}"] for name in ("prints", "failed")]
    rates = [[name, f"{100 * value:.2f} %"] for name, value in found.items() if name[0] == "F"]
    return counts + rates


def _labelled(rows: Sequence[ScoreRow], name: str) -> tuple[np.ndarray, list[int]]:
    genuine, impostor = split_scores(rows, name)
    values = np.zeros(len(rows))
    labels = [row.label for row in rows]
    values[np.array(labels) == 1], values[np.array(labels) == 0] = genuine, impostor
    return values, labels


def _ridge_medians(rows: Sequence[ScoreRow]) -> dict[str, float]:
    medians = {}
    for kind, label in (("genuine", 1), ("impostor", 0)):
        # Templates are never laid on each other: their rows have 0 matches and no correlation.
        own = [row.ridge_ncc for row in rows if row.label == label and row.num_inliers]
        known = [value for value in own if np.isfinite(value)]
        medians[kind] = float(np.median(known)) if known else float("nan")
    return medians


def _counts(rows: Sequence[ScoreRow]) -> dict[str, int]:
    counts = {}
    for kind, label in (("genuine", 1), ("impostor", 0)):
        own = [row for row in rows if row.label == label]
        counts[kind] = len(own)
        for status in ("not_aligned", "failed"):
            counts[f"{kind}_{status}"] = sum(row.status == status for row in own)
    return counts


def _render(found: Report, rows: Sequence[ScoreRow], draw: Draw | None) -> str:
    scores = {name: split_scores(compared(rows), name) for name in SCORES}
    labels = {name: name.removesuffix("_score") for name in SCORES}
    head = ["figure", "value", "95 % interval, by finger"]
    sections = [
        ("Figures", table(figures_table(found.figures), head)),
        ("Comparisons", table([[name, str(number)] for name, number in found.counts.items()])),
        ("Failure to acquire", table(acquisition_table(found.acquisition))),
        (
            "Median correlation of the ridges",
            table([[kind, f"{value:.3f}"] for kind, value in found.ridge_ncc.items()]),
        ),
        ("DET", picture(det_plot({labels[name]: pair for name, pair in scores.items()}))),
        *_quality_sections(found, rows),
        ("Scores", picture(score_histogram(*scores["score"], "fused score"))),
        ("The lowest genuine comparisons", _worst(found.worst_genuine, draw)),
        ("The highest impostor comparisons", _worst(found.worst_impostor, draw)),
    ]
    lead = (
        f"{found.counts['genuine']} genuine and {found.counts['impostor']} impostor comparisons; "
        "prints that do not align count as rejected; those not processed count in FTA and FRR."
    )
    return page("ifvit: verification report", lead, sections)


def _quality_sections(found: Report, rows: Sequence[ScoreRow]) -> list[tuple[str, str]]:
    curve = curve_of(rows)
    if curve is None:
        return []
    values = [[name, f"{value:.3f}"] for name, value in found.discard.items()]
    return [("Error versus discard, by quality", table(values) + picture(discard_plot(curve)))]


def _worst(rows: Sequence[ScoreRow], draw: Draw | None) -> str:
    listed = [[row.name0, row.name1, f"{row.score:.3f}", row.status] for row in rows]
    text = table(listed, ["print 0", "print 1", "score", "status"])
    return text + "".join(picture(draw(row)) for row in rows if draw)
