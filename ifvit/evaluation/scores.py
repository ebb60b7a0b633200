"""A table of comparisons and their scores: made once, kept as CSV, read by every metric."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from ifvit.comparison.result import MatchResult
from ifvit.comparison.score import NOT_ALIGNED
from ifvit.evaluation.protocols import Pair
from ifvit.features.features import features_of
from ifvit.files import write_text
from ifvit.matcher import Matcher
from ifvit.texts import read_table, shortened

SCORES = ("score", "map_score", "index_score", "ridge_ncc", "block_share", "coverage")


@dataclass(frozen=True)
class ScoreRow:
    """One comparison. ``label`` is 1 for genuine and 0 for impostor.

    The branches' scores are NaN where ``status`` is not ``ok``; ``score`` is then -1. Stand-alone
    templates have neither ridges nor matches to compare, and 0 for their scores.
    """

    name0: str
    name1: str
    label: int
    map_score: float
    index_score: float
    ridge_ncc: float
    score: float
    num_inliers: int
    status: str
    """``ok``, ``not_aligned``, or ``failed`` for a print that could not be processed."""
    finger0: str = ""
    finger1: str = ""
    block_share: float = float("nan")
    coverage: float = float("nan")
    overlap_mm2: float = float("nan")
    """Area that both prints show, square millimetres; NaN where they are not aligned."""
    quality0: float = float("nan")
    """How probably each print is found again, 0 to 100; NaN for one that could not be processed."""
    quality1: float = float("nan")


STATUSES = ("ok", "not_aligned", "failed")

ROUNDING = 1e-4
"""How far beyond ±1 a cosine in float32 may be, by rounding."""

NUMBER = re.compile(r"-?[0-9.]+(e[+-]?[0-9]+)?|nan|-?inf")

MOST_MM2 = 1.1e6
"""Upper limit of an overlap: the area of the largest image that is read, at the coarsest
resolution."""

RANGES = {"overlap_mm2": (0.0, MOST_MM2), "quality0": (0.0, 100.0), "quality1": (0.0, 100.0)}
"""Ranges of the columns that are no scores."""

COLUMNS = tuple(field.name for field in fields(ScoreRow))


def score_pairs(
    matcher: Matcher,
    images: Sequence[Float[np.ndarray, "_ _"]],
    pairs: Sequence[Pair],
    names: Sequence[str] | None = None,
    *,
    progress: bool = True,
) -> list[ScoreRow]:
    """Match each pair of ``images``, prints at 500 ppi; one row per pair, in order.

    ``names`` of the images are their numbers if not given; ``progress`` shows a bar. Raises
    ValueError as ``features_of`` does, and where ``names`` and ``images`` differ in number.
    """
    labels = [str(index) for index in range(len(images))] if names is None else list(names)
    if len(labels) != len(images):
        raise ValueError(f"{len(labels)} names for {len(images)} images: expected one for each")
    used = sorted({index for pair in pairs for index in (pair.index0, pair.index1)})
    prints = {index: features_of(images[index]) for index in used}
    rows = []
    for pair in tqdm(pairs, desc="matching", unit="pair", disable=not progress):
        result = matcher.match(prints[pair.index0], prints[pair.index1])
        rows.append(row_of(result, labels[pair.index0], labels[pair.index1], pair.genuine))
    return rows


def row_of(result: MatchResult, name0: str, name1: str, genuine: bool) -> ScoreRow:
    """Return a match as a row of the table."""
    return ScoreRow(
        name0=name0,
        name1=name1,
        label=int(genuine),
        map_score=_number(result.map_score) if result.ok else float("nan"),
        index_score=_number(result.index_score) if result.ok else float("nan"),
        ridge_ncc=_number(result.ridge_ncc) if result.ok else float("nan"),
        score=result.score,
        num_inliers=result.num_inliers,
        status=result.status,
        block_share=_number(result.block_share) if result.ok else float("nan"),
        coverage=_number(result.coverage) if result.ok else float("nan"),
        overlap_mm2=_number(result.overlap_mm2),
    )


def _number(score: float | None) -> float:
    return float("nan") if score is None else score


def split_scores(rows: Sequence[ScoreRow], score: str = "score") -> tuple[np.ndarray, np.ndarray]:
    """Return genuine and impostor scores for ``metrics``; a failed alignment is ``-inf``.

    ``score`` is one of :data:`SCORES`; raises ValueError for another.
    """
    if score not in SCORES:
        raise ValueError(f"unknown score {score!r}: expected one of {', '.join(SCORES)}")
    values = np.array([getattr(r, score) if r.status == "ok" else -np.inf for r in rows], float)
    labels = np.array([row.label for row in rows], int)
    return values[labels == 1], values[labels == 0]


def write_scores(rows: Sequence[ScoreRow], path: str | Path) -> None:
    """Write rows to a CSV file with a header; the folder is made if need be."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    write_text(path, text.getvalue())


def read_scores(path: str | Path) -> list[ScoreRow]:
    """Read a table that :func:`write_scores` wrote; refuse anything it could not have written.

    Raises FileNotFoundError, and ValueError that names the line for other columns, other values, or
    scores out of range, or for a comparison that is there twice and would count as two.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no score table at {path}; `ifvit evaluate` makes one")
    rows, lines = [], dict[tuple[str, str], int]()
    for line, values in read_table(path, COLUMNS, f"the columns {', '.join(COLUMNS)}"):
        try:
            row = _row(values)
            if (first := lines.setdefault((row.name0, row.name1), line)) != line:
                raise ValueError(f"{row.name0} with {row.name1} is in line {first} already")
            rows.append(row)
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}; write the table again") from error
    return rows


def _row(values: dict[str, str]) -> ScoreRow:
    status = values["status"]
    if status not in STATUSES:
        raise ValueError(f"status is {status!r}: expected one of {', '.join(STATUSES)}")
    if values["label"] not in ("0", "1"):
        raise ValueError(f"label is {values['label']!r}: expected 1 or 0")
    if not re.fullmatch("[0-9]{1,9}", values["num_inliers"]):
        raise ValueError(f"num_inliers is {values['num_inliers']!r}: expected a count")
    if not values["name0"] or values["name0"] == values["name1"]:
        raise ValueError(f"{values['name0']!r} with {values['name1']!r}: expected two prints")
    scores = {name: _score(name, values[name]) for name in (*SCORES, *RANGES)}
    needed = ("score", "map_score", "index_score") if status == "ok" else ("score",)
    for name in needed:
        if np.isnan(scores[name]):
            raise ValueError(f"{name} is no number, though status is {status}")
    if status != "ok" and scores["score"] != NOT_ALIGNED:
        raise ValueError(f"score is {scores['score']:g}, expected {NOT_ALIGNED:g} for {status}")
    return ScoreRow(
        name0=values["name0"],
        name1=values["name1"],
        label=int(values["label"]),
        num_inliers=int(values["num_inliers"]),
        status=status,
        finger0=values["finger0"],
        finger1=values["finger1"],
        **scores,
    )


def _score(name: str, text: str) -> float:
    # Python reads more as numbers than is ever written: 1_000, and the digits of all scripts.
    if not NUMBER.fullmatch(text):
        raise ValueError(f"{name} is {shortened(text, 40)!r}: expected a number")
    value = float(text)
    low, high = RANGES.get(name, (-1 - ROUNDING, 1 + ROUNDING))
    if not (np.isnan(value) or low <= value <= high):
        raise ValueError(f"{name} is {text}: expected {low:.4g} to {high:.4g}")
    return value
