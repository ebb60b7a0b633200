import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from ifvit.evaluation.report import figures_table, summarise, write_report
from ifvit.evaluation.scores import SCORES, ScoreRow, write_scores

NAN = float("nan")


def rows() -> list[ScoreRow]:
    """Five fingers of two impressions; one pair not aligned, one print failed."""
    rng = np.random.default_rng(0)
    made = []
    prints = [(f, i) for f in range(5) for i in range(2)]
    for index, (f, i) in enumerate(prints):
        for g, j in prints[index + 1 :]:
            score = float(rng.normal(0.6 if f == g else 0.2, 0.2))
            made.append(
                ScoreRow(
                    *(
                        f"{f}_{i}.png",
                        f"{g}_{j}.png",
                        int(f == g),
                        score,
                        score / 2,
                        score,
                        score,
                        20,
                    ),
                    *("ok", str(f), str(g)),
                    block_share=score,
                    coverage=score,
                )
            )
    made[0] = ScoreRow("0_0.png", "0_1.png", 1, NAN, NAN, NAN, -1.0, 3, "not_aligned", "0", "0")
    made[1] = ScoreRow("0_0.png", "1_0.png", 0, NAN, NAN, NAN, -1.0, 0, "failed", "0", "1")
    return made


def test_figures_agree_with_scikit_learn():
    found = summarise(rows(), samples=50)
    table = [row for row in rows() if row.status != "failed"]
    labels = [row.label for row in table]
    # Prints that do not align are below every score that was made.
    scores = [row.score if row.status == "ok" else -9.0 for row in table]
    assert found.figures["AUC"].value == pytest.approx(roc_auc_score(labels, scores))
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    for limit in (0.05, 0.01):
        expected = 1 - tpr[fpr <= limit].max()
        name = f"FNMR at FMR {100 * limit:g} %"
        assert found.figures[name].value == pytest.approx(expected)
    # The EER lies where the ROC crosses the other diagonal.
    expected = np.interp(0.0, fpr + tpr - 1, fpr)
    assert found.figures["EER"].value == pytest.approx(expected)


def test_the_worst_prints_are_discarded_first(tmp_path):
    """Quality that knows the scores removes each error; none where no quality is known."""
    made = rows()
    assert summarise(made, samples=0).discard == {}
    knowing = [
        replace(row, quality0=50 + 25 * row.score, quality1=99.0) if row.status == "ok" else row
        for row in made
    ]
    # Four genuine comparisons have a quality: the worst of them fails, and leaves at a quarter.
    found = summarise(knowing, samples=0).discard
    assert found["FNMR, 0 % discarded"] == found["FNMR, 20 % discarded"] == 0.25
    assert list(found) == [f"FNMR, {share} % discarded" for share in (0, 5, 10, 20)] + ["gain"]
    write_scores(knowing, tmp_path / "scores.csv")
    write_report(tmp_path / "scores.csv", tmp_path)
    assert "Error versus discard" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_prints_that_cannot_be_processed_are_failures_to_acquire():
    """Two prints of ten lost: no rate of errors of the others changes, but FRR counts them."""
    lost = {"0_1.png", "3_0.png"}
    made = [
        replace(row, score=-1.0, status="failed") if {row.name0, row.name1} & lost else row
        for row in rows()
    ]
    left = [row for row in made if not {row.name0, row.name1} & lost]
    found, of_left = (summarise(table, samples=0) for table in (made, left))
    assert {name: one.value for name, one in found.figures.items()} == {
        name: one.value for name, one in of_left.figures.items()
    }
    assert found.acquisition["prints"] == 10 and found.acquisition["failed"] == 2
    assert found.acquisition["FTA"] == pytest.approx(0.2) and of_left.acquisition["FTA"] == 0
    for limit in (5, 1, 0.1):
        fnmr = found.figures[f"FNMR at FMR {limit:g} %"].value
        # Two of five genuine comparisons are lost with them.
        assert found.acquisition[f"FRR at FMR {limit:g} %"] == pytest.approx(0.4 + 0.6 * fnmr)
    assert found.counts["genuine_failed"] == 2 and of_left.acquisition["prints"] == 8


def test_counts_and_worst_pairs():
    found = summarise(rows(), worst=2, samples=10)
    assert found.counts == {
        "genuine": 5,
        "genuine_not_aligned": 1,
        "genuine_failed": 0,
        "impostor": 40,
        "impostor_not_aligned": 0,
        "impostor_failed": 1,
    }
    assert found.worst_genuine[0].status == "not_aligned"
    highest = max((r for r in rows() if not r.label), key=lambda r: r.score)
    assert repr(found.worst_impostor[0]) == repr(highest)
    assert set(found.by_branch) == set(SCORES)


def test_a_page_and_json_are_written(tmp_path):
    write_scores(rows(), tmp_path / "scores.csv")
    drawn: list[str] = []

    def draw(row: ScoreRow) -> bytes:
        drawn.append(row.name0)
        return b"PNG"

    found = write_report(tmp_path / "scores.csv", tmp_path / "out", draw, worst=2)
    page = (tmp_path / "out" / "report.html").read_text()
    # Two curves' pictures and those of the worst pairs that could be made: nothing from outside.
    assert page.count("data:image/png;base64,") == 2 + len(drawn) == 2 + 4
    assert "src='http" not in page and "href" not in page
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert written["figures"]["EER"]["value"] == found.figures["EER"].value
    assert written["worst"]["genuine"][0]["map_score"] is None
    assert figures_table(found.figures)[0][0] == "EER"


def test_a_table_without_impostors_is_refused(tmp_path):
    write_scores([row for row in rows() if row.label], tmp_path / "scores.csv")
    with pytest.raises(ValueError, match="no impostor scores"):
        write_report(tmp_path / "scores.csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()
