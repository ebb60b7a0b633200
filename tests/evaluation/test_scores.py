from pathlib import Path

import numpy as np
import pytest

from ifvit.comparison.result import MatchResult
from ifvit.evaluation.protocols import Pair
from ifvit.evaluation.scores import ScoreRow, read_scores, score_pairs, split_scores, write_scores
from ifvit.features.coder import Template
from ifvit.matcher import Matcher
from ifvit.registration.alignment import Alignment

NAN = float("nan")
ROWS = [
    ScoreRow("1_1", "1_2", 1, 0.5, 0.25, 0.6, 0.4, 31, "ok", quality0=91.5, quality1=0.0),
    ScoreRow("1_1", "2_1", 0, -0.1, 0.2, 0.1, 0.02, 9, "ok"),
    ScoreRow("1_2", "2_1", 0, NAN, NAN, NAN, -1.0, 3, "not_aligned"),
]


TEMPLATE = Template(
    cells=np.zeros((2, 2, 8), np.int8),
    mask=np.zeros((2, 2), bool),
    index=np.zeros(4, np.int8),
    core=(0.0, 0.0),
    rotation=0.0,
    confidence=0.0,
)


def result(status: str, score: float, branch: float, inliers: int) -> MatchResult:
    blank, none = np.zeros((2, 2), np.float32), np.zeros((0, 2))
    alignment = Alignment(
        *(status == "ok", "", np.eye(2, 3), none, none, none[:, 0], np.zeros(0, bool), 0.0)
    )
    return MatchResult(
        *(
            status,
            "",
            score,
            branch,
            branch,
            branch,
            inliers,
            inliers,
            alignment,
            blank,
            blank,
            (TEMPLATE, TEMPLATE),
        )
    )


class FakeMatcher(Matcher):
    """Compares means, and cannot align a blank print."""

    def __init__(self) -> None:
        pass

    def match(self, image0, image1, *, ppi=None):
        if image1 == 0:
            return result("not_aligned", -1.0, 0.1, 2)
        score = 1 - abs(image0 - image1)
        return result("ok", score, score, 20)


def test_score_pairs_prepares_each_print_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[float] = []

    def mean(image: np.ndarray) -> float:
        made.append(float(image.mean()))
        return made[-1]

    monkeypatch.setattr("ifvit.evaluation.scores.features_of", mean)
    images = [np.full((4, 4), value, np.float32) for value in (0.5, 0.25, 0.0, 0.9)]
    matcher = FakeMatcher()
    pairs = [Pair(0, 1, True), Pair(0, 2, False), Pair(1, 2, False)]
    rows = score_pairs(matcher, images, pairs, ["a", "b", "c", "d"], progress=False)
    assert made == [0.5, 0.25, 0.0]
    assert [(row.name0, row.name1, row.label) for row in rows] == [
        ("a", "b", 1),
        ("a", "c", 0),
        ("b", "c", 0),
    ]
    assert rows[0].score == 0.75
    assert rows[1].status == "not_aligned" and np.isnan(rows[1].map_score)
    with pytest.raises(ValueError, match="2 names for 4 images"):
        score_pairs(matcher, images, pairs, ["a", "b"], progress=False)


def test_table_survives_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "scores.csv"
    write_scores(ROWS, path)
    assert path.read_text().splitlines()[0].startswith("name0,name1,label,map_score")
    assert repr(read_scores(path)) == repr(ROWS)  # repr: NaN is not equal to itself


def test_split_gives_failures_the_lowest_score() -> None:
    genuine, impostor = split_scores(ROWS)
    np.testing.assert_array_equal(genuine, [0.4])
    np.testing.assert_array_equal(impostor, [0.02, -np.inf])
    np.testing.assert_array_equal(split_scores(ROWS, "index_score")[1], [0.2, -np.inf])
    with pytest.raises(ValueError, match="unknown score"):
        split_scores(ROWS, "best")


def test_bad_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no score table"):
        read_scores(tmp_path / "none.csv")
    path = tmp_path / "scores.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="no column name0"):
        read_scores(path)
    write_scores(ROWS[:1], path)
    path.write_text(path.read_text().replace("0.25", "high"))
    with pytest.raises(ValueError, match="line 2"):
        read_scores(path)
