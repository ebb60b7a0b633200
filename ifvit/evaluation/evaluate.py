"""A data set compared by a protocol: every comparison a row, and the work never done twice."""

from __future__ import annotations

import csv
import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from ifvit.comparison.print_similarity import template_similarity
from ifvit.comparison.score import NOT_ALIGNED
from ifvit.data.names import print_name, warn_of_doubles
from ifvit.data.prints import Print
from ifvit.data.readers import read_dataset
from ifvit.data.tags import warn_of_tags
from ifvit.evaluation.protocols import Pair, fewer_impostors, protocol_pairs
from ifvit.evaluation.resume import (
    RUN_FILE,
    SCORES_FILE,
    Begun,
    begin,
    describe_run,
    write_record,
)
from ifvit.evaluation.scores import COLUMNS, ScoreRow, row_of, write_scores
from ifvit.features.enhancer import EnhancerName
from ifvit.features.features import Features
from ifvit.locks import folder_lock
from ifvit.matcher import Matcher

logger = logging.getLogger("ifvit")

Score = Callable[[Sequence[Pair]], list[ScoreRow]]
"""A function from pairs to their rows, in order."""


@dataclass(frozen=True)
class EvaluateConfig:
    """Compare the prints of a data set by a protocol and write OUT/scores.csv.

    An interrupted run goes on where it stopped.
    """

    dataset_root: str
    """A folder of prints."""
    protocol: str = "fvc"
    """``fvc``, ``all``, or a file that lists comparisons."""
    impostors: int | None = None
    """Number of impostor comparisons to keep, drawn at random, where the protocol has more: a
    thousand fingers have half a million."""
    mode: Literal["pair", "template"] = "pair"
    """``pair``: align and compare each pair; ``template``: embed each print by itself, once."""
    out: str = "evaluation"
    """Folder for scores.csv and run.json."""
    ppi: int | None = None
    """Resolution of the prints, where the data set is not a known one."""
    enhancer: EnhancerName = "gabor"
    """``gabor``: the built-in filter; ``pyfing``: that package's networks; ``none``."""
    canvas: int | None = None
    """Side of the canvas for all prints, pixels of the network; if not given, it suits each
    pair."""
    workers: int | None = None
    """Number of pairs compared at a time, each by a thread; one per core if not given."""
    dense_ckpt: str | None = None
    """Module 1's checkpoint. Without it and ``matcher_ckpt``, the weights that ship are used."""
    matcher_ckpt: str | None = None
    """Module 2's checkpoint, of the same training as ``dense_ckpt``."""


def evaluate(config: EvaluateConfig) -> Path:
    """Score every comparison of the protocol; return the path of the table.

    A comparison whose print cannot be processed, or whose pair cannot be aligned, is a row with a
    status. A print that has changed since the run began is compared anew. Raises FileNotFoundError
    and ValueError as the readers and loaders do, and ValueError where ``out`` holds the scores of
    another run, or where another process evaluates there.
    """
    if config.workers is not None and config.workers < 1:
        raise ValueError(f"--workers {config.workers}: expected at least 1")
    prints = read_dataset(config.dataset_root, config.ppi)
    warn_of_doubles(prints)
    warn_of_tags((item.path, item.ppi) for item in prints)
    pairs = protocol_pairs(prints, config.protocol, config.dataset_root)
    if config.impostors is not None:
        pairs = fewer_impostors(pairs, config.impostors)
    names = [print_name(item, config.dataset_root) for item in prints]
    matcher = Matcher.from_checkpoints(
        config.dense_ckpt, config.matcher_ckpt, config.enhancer, config.canvas
    )
    settings = {
        "protocol": config.protocol if config.protocol in ("fvc", "all") else "list",
        **{name: getattr(config, name) for name in ("mode", "ppi", "enhancer", "canvas")},
        "fingerprint": matcher.fingerprint,
        **matcher.decision.record,
        "dense_ckpt_sha256": matcher.decision.dense_sha256,
        "matcher_ckpt_sha256": matcher.decision.matcher_sha256,
    }
    run = describe_run(settings, config.dataset_root, prints, pairs, names)
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    with folder_lock(out, "evaluating", "--out"):
        begun = begin(out, run, pairs, names)
        logger.info(
            "%d genuine and %d impostor comparisons, %d of them there already",
            *(sum(p.genuine for p in pairs), sum(not p.genuine for p in pairs), len(begun.rows)),
        )
        features = _Extracted(matcher, prints)
        size = config.workers or os.cpu_count() or 1
        make = _pair_scores if config.mode == "pair" else _template_scores
        score = _with_prints(make(matcher, features, pairs, names), features)
        _compare_anew(out, begun, run, pairs, features, score, size)
        _go_on(out, len(begun.rows), config.mode, pairs, score, size)
    return out / SCORES_FILE


def _compare_anew(
    out: Path,
    begun: Begun,
    run: dict[str, Any],
    pairs: Sequence[Pair],
    features: _Extracted,
    score: Score,
    size: int,
) -> None:
    """Replace the rows of prints that have changed, or that could not be read and now can."""
    failed = [n for n, row in enumerate(begun.rows) if row.status == "failed"]
    mended = [n for n in failed if None not in (features[pairs[n][0]], features[pairs[n][1]])]
    anew = sorted({*begun.stale, *mended})
    rows = list(begun.rows)
    for start in tqdm(range(0, len(anew), size), desc="anew", unit="pair", disable=not anew):
        few = anew[start : start + size]
        for number, row in zip(few, score([pairs[n] for n in few]), strict=True):
            rows[number] = row
    if anew:
        write_scores(rows, out / SCORES_FILE)
    # After the rows: until then, a resumed run has to compare them again.
    write_record(out / RUN_FILE, run)


def _go_on(out: Path, done: int, mode: str, pairs: Sequence[Pair], score: Score, size: int) -> None:
    """Add the rows that are not there yet, in the protocol's order."""
    with (
        (out / SCORES_FILE).open(
            "a", newline="", encoding="utf-8", errors="surrogateescape"
        ) as file,
        tqdm(desc=mode, unit="pair", initial=done, total=len(pairs)) as progress,
    ):
        writer = csv.DictWriter(file, COLUMNS)
        for start in range(done, len(pairs), size):
            few = pairs[start : start + size]
            writer.writerows(asdict(row) for row in score(few))
            file.flush()
            progress.update(len(few))


def _with_prints(score: Score, features: _Extracted) -> Score:
    """Return a function that adds finger and quality of both prints to the rows of ``score``."""

    def of(index: int) -> tuple[str, float]:
        return features.prints[index].finger, features.quality(index)

    def known(few: Sequence[Pair]) -> list[ScoreRow]:
        rows = []
        for pair, row in zip(few, score(few), strict=True):
            (finger0, quality0), (finger1, quality1) = of(pair.index0), of(pair.index1)
            named = replace(row, finger0=finger0, finger1=finger1)
            rows.append(replace(named, quality0=quality0, quality1=quality1))
        return rows

    return known


KEPT = 256
"""Number of prints whose features are kept, about a megabyte each: those used last."""


class _Extracted:
    """Features of each print, made when it is first needed; None for one that cannot be."""

    def __init__(self, matcher: Matcher, prints: Sequence[Print]) -> None:
        self.matcher, self.prints = matcher, prints
        self._made: dict[int, Features | None] = {}
        self._quality: dict[int, float] = {}

    def quality(self, index: int) -> float:
        """Return a print's quality, 0 to 100; NaN for one that cannot be processed."""
        if index not in self._quality:
            made = self[index]
            known = math.nan if made is None else self.matcher.coder.template(made).quality
            self._quality[index] = known
        return self._quality[index]

    def __getitem__(self, index: int) -> Features | None:
        if index in self._made:
            self._made[index] = self._made.pop(index)  # to the end: it was asked for last
        else:
            usable = [number for number, made in self._made.items() if made is not None]
            for number in usable[: len(usable) + 1 - KEPT]:
                del self._made[number]
            item = self.prints[index]
            try:
                self._made[index] = self.matcher.extract(item.path, item.ppi)
            except (ValueError, OSError) as error:
                logger.warning("%s counts as failed: %s", item.path, error)
                self._made[index] = None
        return self._made[index]


def _pair_scores(
    matcher: Matcher, features: _Extracted, pairs: Sequence[Pair], names: Sequence[str]
) -> Score:
    """Return a function that matches some pairs at a time."""

    def score(few: Sequence[Pair]) -> list[ScoreRow]:
        made = [_failed(pair, names[pair.index0], names[pair.index1]) for pair in few]
        usable, both = [], []
        for index, pair in enumerate(few):
            print0, print1 = features[pair.index0], features[pair.index1]
            if print0 is not None and print1 is not None:
                usable.append(index)
                both.append((print0, print1))
        for index, result in zip(usable, matcher.match_pairs(both), strict=True):
            row = made[index]
            made[index] = row_of(result, row.name0, row.name1, few[index].genuine)
        return made

    return score


def _template_scores(
    matcher: Matcher, features: _Extracted, pairs: Sequence[Pair], names: Sequence[str]
) -> Score:
    """Embed all prints of the pairs, and return a function that compares two of them."""
    used = sorted({index for pair in pairs for index in (pair.index0, pair.index1)})
    embedded = {}
    for index in used:
        if (item := features[index]) is not None:
            embedded[index] = matcher.coder.template(item)
            features.quality(index)  # while its template is at hand

    def one(pair: Pair) -> ScoreRow:
        name0, name1 = names[pair.index0], names[pair.index1]
        if pair.index0 not in embedded or pair.index1 not in embedded:
            return _failed(pair, name0, name1)
        found = template_similarity(embedded[pair.index0], embedded[pair.index1])
        row = ScoreRow(name0, name1, int(pair.genuine), *found, 0.0, found[0], 0, "ok")
        return replace(row, block_share=0.0, coverage=0.0)

    return lambda few: [one(pair) for pair in few]


def _failed(pair: Pair, name0: str, name1: str) -> ScoreRow:
    nan = float("nan")
    return ScoreRow(name0, name1, int(pair.genuine), nan, nan, nan, NOT_ALIGNED, 0, "failed")
