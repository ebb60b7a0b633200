"""A data set compared by a protocol: every comparison a row, and the work never done twice."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
from tqdm import tqdm

from ifvit.comparison.score import NOT_ALIGNED
from ifvit.data.prints import Print
from ifvit.data.readers import read_dataset
from ifvit.evaluation.protocols import Pair, fewer_impostors, print_name, protocol_pairs
from ifvit.evaluation.scores import ScoreRow, read_scores, row_of
from ifvit.features.enhancer import EnhancerName
from ifvit.features.features import Features
from ifvit.matcher import Matcher
from ifvit.runtime.jax_runtime import pairs_at_once

logger = logging.getLogger("ifvit")

SCORES_FILE, RUN_FILE = "scores.csv", "run.json"


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
    """Keep so many of the protocol's impostor comparisons, drawn at random, where it has more: a
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
    """Side of one canvas for all prints, pixels at the network's resolution; if not given each pair
    has one that it fits in."""
    batch_size: int | None = None
    """Pairs in one call; if not given 1 on a CPU, whose cores one pair fills, and otherwise 16."""
    dense_ckpt: str | None = None
    """Both checkpoints of a training; if not given, the weights that ship with ifvit."""
    matcher_ckpt: str | None = None


def evaluate(config: EvaluateConfig) -> Path:
    """Score every comparison of the protocol; return the path of the table.

    A print that cannot be processed, or a pair that cannot be aligned, is a row with a status.
    Raises FileNotFoundError and ValueError as the readers and loaders do, and ValueError where
    ``out`` holds the scores of another run.
    """
    prints = read_dataset(config.dataset_root, config.ppi)
    pairs = protocol_pairs(prints, config.protocol, config.dataset_root)
    if config.impostors is not None:
        pairs = fewer_impostors(pairs, config.impostors)
    names = [print_name(item, config.dataset_root) for item in prints]
    matcher = Matcher.from_checkpoints(
        config.dense_ckpt, config.matcher_ckpt, config.enhancer, config.canvas
    )
    out = Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    _same_run(out / RUN_FILE, _describe(config, pairs, names, matcher))
    table = out / SCORES_FILE
    done = _resume(table, pairs, names)
    logger.info(
        "%d genuine and %d impostor comparisons, %d of them there already",
        *(sum(p.genuine for p in pairs), sum(not p.genuine for p in pairs), done),
    )
    features = _Extracted(matcher, prints)
    size = config.batch_size or pairs_at_once()
    make = _pair_scores if config.mode == "pair" else _template_scores
    score = make(matcher, features, pairs, names, size)
    with (
        table.open("a", newline="", encoding="utf-8") as file,
        tqdm(desc=config.mode, unit="pair", initial=done, total=len(pairs)) as progress,
    ):
        writer = csv.DictWriter(file, [field.name for field in fields(ScoreRow)])
        for start in range(done, len(pairs), size):
            few = pairs[start : start + size]
            for pair, row in zip(few, score(few), strict=True):
                fingers = prints[pair.index0].finger, prints[pair.index1].finger
                writer.writerow(asdict(replace(row, finger0=fingers[0], finger1=fingers[1])))
            file.flush()
            progress.update(len(few))
    return table


class _Extracted:
    """Features of each print, made when it is first needed; None for one that cannot be."""

    def __init__(self, matcher: Matcher, prints: Sequence[Print]) -> None:
        self.matcher, self.prints = matcher, prints
        self._made: dict[int, Features | None] = {}

    def __getitem__(self, index: int) -> Features | None:
        if index not in self._made:
            item = self.prints[index]
            try:
                self._made[index] = self.matcher.extract(item.path, item.ppi)
            except (ValueError, OSError) as error:
                logger.warning("%s counts as failed: %s", item.path.name, error)
                self._made[index] = None
        return self._made[index]


Score = Callable[[Sequence[Pair]], list[ScoreRow]]


def _pair_scores(
    matcher: Matcher, features: _Extracted, pairs: Sequence[Pair], names: Sequence[str], size: int
) -> Score:
    """Return what matches up to ``size`` pairs in calls that they share."""

    def score(few: Sequence[Pair]) -> list[ScoreRow]:
        made = [_failed(pair, names[pair.index0], names[pair.index1]) for pair in few]
        usable, both = [], []
        for index, pair in enumerate(few):
            print0, print1 = features[pair.index0], features[pair.index1]
            if print0 is not None and print1 is not None:
                usable.append(index)
                both.append((print0, print1))
        for index, result in zip(usable, matcher.match_pairs(both, size), strict=True):
            row = made[index]
            made[index] = row_of(result, row.name0, row.name1, few[index].genuine)
        return made

    return score


def _template_scores(
    matcher: Matcher, features: _Extracted, pairs: Sequence[Pair], names: Sequence[str], size: int
) -> Score:
    """Embed all prints that the pairs name, and return what compares two of them."""
    used = sorted({index for pair in pairs for index in (pair.index0, pair.index1)})
    made = {index: item for index in used if (item := features[index]) is not None}
    embedded = dict(zip(made, matcher.embed(list(made.values())), strict=True))
    share = matcher.decision.fusion.global_share

    def one(pair: Pair) -> ScoreRow:
        name0, name1 = names[pair.index0], names[pair.index1]
        if pair.index0 not in embedded or pair.index1 not in embedded:
            return _failed(pair, name0, name1)
        both = np.clip((embedded[pair.index0] * embedded[pair.index1]).sum(axis=1), -1.0, 1.0)
        global_score, local_score = map(float, both)
        fused = share * global_score + (1 - share) * local_score
        label = int(pair.genuine)
        found = global_score, local_score, 0.0, fused
        return ScoreRow(name0, name1, label, *found, 0, "ok", block_score=0.0, match_score=0.0)

    return lambda few: [one(pair) for pair in few]


def _failed(pair: Pair, name0: str, name1: str) -> ScoreRow:
    nan = float("nan")
    return ScoreRow(name0, name1, int(pair.genuine), nan, nan, nan, NOT_ALIGNED, 0, "failed")


def _describe(
    config: EvaluateConfig, pairs: Sequence[Pair], names: Sequence[str], matcher: Matcher
) -> dict:
    """What makes two runs the same run."""
    decision = matcher.decision
    listed = "\n".join(f"{names[p.index0]} {names[p.index1]} {p.genuine}" for p in pairs)
    return {
        "dataset": Path(config.dataset_root).resolve().name,
        "protocol": config.protocol if config.protocol in ("fvc", "all") else "list",
        "mode": config.mode,
        "ppi": config.ppi,
        "enhancer": config.enhancer,
        "canvas": config.canvas,
        "fingerprint": matcher.fingerprint,
        "version": version("ifvit"),
        **decision.record,
        "comparisons": len(pairs),
        "comparisons_sha256": hashlib.sha256(listed.encode()).hexdigest(),
        "dense_ckpt_sha256": decision.dense_sha256,
        "matcher_ckpt_sha256": decision.matcher_sha256,
    }


def _same_run(path: Path, run: dict) -> None:
    """Write down what is run; raises ValueError where something else was."""
    if not path.exists():
        path.write_text(json.dumps(run, indent=2) + "\n")
        return
    earlier = json.loads(path.read_text())
    differences = [
        f"{key} was {earlier.get(key)} and is {value}"
        for key, value in run.items()
        if earlier.get(key) != value
    ]
    if differences:
        raise ValueError(
            f"{path.parent} holds the scores of another run: {'; '.join(differences)}; choose "
            "another --out"
        )


def _resume(table: Path, pairs: Sequence[Pair], names: Sequence[str]) -> int:
    """Return how many comparisons are in the table, which is begun if it is not there.

    A row that was cut off in the middle is dropped. Raises ValueError where rows are not the
    protocol's.
    """
    header = ",".join(field.name for field in fields(ScoreRow)) + "\r\n"
    if not table.exists() or not table.read_bytes().count(b"\n"):
        table.write_bytes(header.encode())
        return 0
    content = table.read_bytes()
    whole = content[: content.rindex(b"\n") + 1]
    if whole != content:
        table.write_bytes(whole)
    rows = read_scores(table)
    expected = [(names[p.index0], names[p.index1]) for p in pairs[: len(rows)]]
    if [(row.name0, row.name1) for row in rows] != expected:
        raise ValueError(f"{table} has rows of another list of comparisons: choose another --out")
    return len(rows)
