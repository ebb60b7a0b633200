"""The golden path in one run: a match, then synthetic prints, Module 1, Module 2, a report.

Everything is made, trained and measured here; no data and no network are needed.
"""

from __future__ import annotations

import html
import json
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ifvit.comparison.result import MatchResult
from ifvit.config import REFERENCE_PPI, DenseConfig, MatchStartConfig, RunConfig
from ifvit.data.examples import example_prints
from ifvit.data.images import read_image
from ifvit.data.prints import read_print
from ifvit.data.readers import read_dataset
from ifvit.evaluation.metrics import auc, eer
from ifvit.evaluation.page import page, picture, table
from ifvit.evaluation.plots import score_histogram
from ifvit.evaluation.protocols import Pair, all_pairs
from ifvit.evaluation.scores import ScoreRow, score_pairs, write_scores
from ifvit.files import keep_earlier, sha256_of, write_text
from ifvit.matcher import Matcher
from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS
from ifvit.sources.dense_synthetic import synthetic_source
from ifvit.sources.masters import TEST_FINGERS
from ifvit.sources.source import first_batches
from ifvit.synthesis.dataset import DatasetSpec, write_dataset
from ifvit.training.dense import cell_accuracy, train_dense
from ifvit.training.match import train_match
from ifvit.viz.figures import save
from ifvit.viz.matches import draw_match
from ifvit.viz.sheet import contact_sheet
from ifvit.weights.checkpoint import load_dense, read_metadata
from ifvit.weights.describe import describe

logger = logging.getLogger("ifvit")

TEST_SPEC = DatasetSpec(fingers=12, impressions=4, first_finger=TEST_FINGERS)
IMPOSTOR_PAIRS = 100
CELL_PAIRS = 192


@dataclass(frozen=True)
class Outcome:
    """The figures that the demo measured, and the files that it made."""

    report: dict
    pictures: dict[str, Path]
    descriptions: tuple[str, str]


def demo(out: str | Path, seed: int = 0) -> Path:
    """Run the golden path into the folder ``out`` and return the path of ``report.html``.

    A folder of that name is kept under another one: nothing is overwritten.
    """
    out, began = Path(out), time.perf_counter()
    keep_earlier(out)
    _say(1, "matching prints of the package by its weights: one finger, then two", "5 s")
    shipped = match_shipped(out)
    _say(2, f"making prints of {TEST_SPEC.fingers} fingers to test on, never to train on", "20 s")
    paths = make_test_prints(out / f"prints_{seed}", seed)
    run = RunConfig(str(out / "checkpoints/dense_reg"), seed=seed)
    dense_config = replace(DENSE_PRESETS["tiny"], run=run)
    fingers = dense_config.data.fingers
    _say(3, f"training Module 1 on {fingers} synthetic fingers", "3 to 4 minutes")
    dense_ckpt = train_dense(dense_config)
    start = MatchStartConfig(pretrained_ckpt=str(dense_ckpt))
    run = RunConfig(str(out / "checkpoints/matcher"), seed=seed)
    _say(4, "training Module 2 from Module 1", "2 minutes")
    matcher_ckpt = train_match(replace(MATCH_PRESETS["tiny"], start=start, run=run))
    _say(5, "measuring both on the unseen fingers", "a minute")
    module1 = measure_module1(dense_ckpt, dense_config)
    matcher = Matcher.from_checkpoints(dense_ckpt, matcher_ckpt)
    rows = measure_pairs(matcher, out / f"prints_{seed}", seed)
    write_scores(rows, out / "scores.csv")
    _say(6, "matching a genuine and an impostor pair by the modules that were trained", "10 s")
    pictures = draw_examples(matcher, rows, paths, out) | {"shipped": shipped}
    report = {
        "module1": module1,
        "module2": summarise(rows),
        "lineage": lineage(dense_ckpt, matcher_ckpt),
        "seconds": round(time.perf_counter() - began, 1),
    }
    descriptions = (describe(dense_ckpt), describe(matcher_ckpt))
    write_text(out / "report.json", json.dumps(report, indent=2) + "\n")
    written = out / "report.html"
    write_text(written, render_page(Outcome(report, pictures, descriptions), rows))
    print(json.dumps({k: report[k] for k in ("module1", "module2", "seconds")}, indent=2))
    print(f"The report is in {written}")
    return written


def match_shipped(out: Path) -> Path:
    """Match a print with another of its finger and with one of another finger, by the weights that
    ship; draw both matches, one below the other, and return the picture's path."""
    print0, print1, other, _ = example_prints()
    results = Matcher.from_checkpoints().match_many(print0, [print1, other])
    for name, result in zip(("one finger", "two fingers"), results, strict=True):
        print(f"{name}: {result.summary()}")
    path = out / "match_shipped.png"
    save(np.concatenate([draw_match(result) for result in results]), path)
    print(f"Look at it while the rest goes on: {path}", flush=True)
    return path


def make_test_prints(folder: Path, seed: int) -> dict[str, Path]:
    """Write the prints of the fingers to test on; return paths by name, with a contact sheet."""
    spec = replace(TEST_SPEC, seed=seed)
    made = write_dataset(folder, spec, lambda items, n: tqdm(items, "prints", n, leave=False))
    # Four fingers are enough to look at, and keep the report small.
    shown = made[: 4 * spec.impressions]
    images = [read_image(path) for path in shown]
    sheet = folder / "contact_sheet.png"
    contact_sheet(images, [path.stem for path in shown], sheet, spec.impressions)
    return {path.stem: path for path in made} | {"contact_sheet": sheet}


def measure_module1(dense_ckpt: Path, config: DenseConfig) -> dict[str, float]:
    """Measure registration on genuine pairs of the unseen fingers."""
    model, _ = load_dense(dense_ckpt)
    source = synthetic_source(config, TEST_FINGERS, TEST_SPEC.fingers, genuine_only=True)
    return cell_accuracy(model, first_batches(source, CELL_PAIRS, config.optim.batch_size))


def measure_pairs(matcher: Matcher, folder: Path, seed: int) -> list[ScoreRow]:
    """Match all genuine pairs of the folder's prints and a random part of the impostor ones."""
    prints = read_dataset(folder)
    images = [read_print(p.path, p.ppi, REFERENCE_PPI) for p in prints]
    pairs = all_pairs(prints)
    genuine = [pair for pair in pairs if pair.genuine]
    impostor = [pair for pair in pairs if not pair.genuine]
    chosen = np.random.default_rng(seed).choice(len(impostor), IMPOSTOR_PAIRS, replace=False)
    selected: list[Pair] = genuine + [impostor[i] for i in sorted(chosen)]
    return score_pairs(matcher, images, selected, [p.path.stem for p in prints])


def summarise(rows: list[ScoreRow]) -> dict[str, float | int]:
    """Return the matcher's figures; pairs that could not be aligned count with the lowest score.

    ``auc`` and ``eer`` are those of the score, which includes registration; ``map_auc`` is that of
    Module 2's dense maps alone.
    """
    genuine = [row.score for row in rows if row.label]
    impostor = [row.score for row in rows if not row.label]
    maps = [np.nan_to_num([r.map_score for r in rows if r.label == x], nan=-1.0) for x in (1, 0)]
    return {
        "auc": auc(genuine, impostor),
        "eer": eer(genuine, impostor),
        "map_auc": auc(*maps),
        "genuine_pairs": len(genuine),
        "impostor_pairs": len(impostor),
        "genuine_not_aligned": sum(row.status != "ok" for row in rows if row.label),
        "impostor_not_aligned": sum(row.status != "ok" for row in rows if not row.label),
    }


def draw_examples(
    matcher: Matcher, rows: list[ScoreRow], paths: dict[str, Path], out: Path
) -> dict[str, Path]:
    """Draw the genuine pair and the impostor pair of median score: typical ones, not the best."""
    pictures = {"prints": paths["contact_sheet"]}
    for name, label in (("genuine", 1), ("impostor", 0)):
        ranked = sorted((r for r in rows if r.label == label), key=lambda r: (r.score, r.name0))
        row = ranked[len(ranked) // 2]
        result: MatchResult = matcher.match(
            *(matcher.extract(paths[name], name=name) for name in (row.name0, row.name1))
        )
        pictures[name] = out / f"match_{name}.png"
        draw_match(result, pictures[name])
        print(f"{name}: {result.summary()}")
    return pictures


def lineage(dense_ckpt: Path, matcher_ckpt: Path) -> list[dict[str, str]]:
    """Return the chain of files down to the matcher, oldest first."""
    chain = list(read_metadata(matcher_ckpt).lineage)
    last = {"role": "matcher", "file": matcher_ckpt.name, "sha256": sha256_of(matcher_ckpt)}
    return [*chain, {**last, "note": f"Module 2, from {dense_ckpt.name}"}]


def render_page(outcome: Outcome, rows: list[ScoreRow]) -> str:
    """Return the report as one self-contained HTML page."""
    report = outcome.report
    genuine = [row.score for row in rows if row.label]
    impostor = [row.score for row in rows if not row.label]
    figures = [
        [f"{module}.{name}", f"{value:.4g}"]
        for module in ("module1", "module2")
        for name, value in report[module].items()
    ]
    sections = [
        ("Figures, on fingers never trained on", table(figures)),
        ("Scores", picture(score_histogram(genuine, impostor, "fused score"))),
        (
            "One finger and two, by the weights that ship",
            picture(outcome.pictures["shipped"].read_bytes()),
        ),
        ("A genuine pair, of median score", picture(outcome.pictures["genuine"].read_bytes())),
        ("An impostor pair, of median score", picture(outcome.pictures["impostor"].read_bytes())),
        ("Some of the prints it was tested on", picture(outcome.pictures["prints"].read_bytes())),
        *(
            (f"Module {number}", f"<pre>{html.escape(text)}</pre>")
            for number, text in enumerate(outcome.descriptions, start=1)
        ),
    ]
    seconds = f"{report['seconds']:.0f} seconds"
    lead = f"Synthetic prints → Module 1 → Module 2 → match, in {seconds}."
    return page("ifvit: the golden path", lead, sections)


def _say(step: int, what: str, takes: str) -> None:
    """Print what the next step does, and how long it takes on two free cores."""
    print(f"[{step}/6] {what} (about {takes})", flush=True)
