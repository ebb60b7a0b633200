from __future__ import annotations

from pathlib import Path

import pytest

from ifvit.data.names import print_name
from ifvit.data.readers import read_dataset
from ifvit.evaluation.protocols import fvc_pairs


@pytest.fixture
def table(tmp_path) -> Path:
    for name in ("a/one.png", "a/two.png", "b/one.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path / "prints.csv"


def message(table: Path, text: str, kind: type[Exception] = ValueError) -> str:
    table.write_text(text, encoding="utf-8")
    with pytest.raises(kind) as caught:
        read_dataset(table)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_table_of_paths_and_fingers_is_enough(table):
    table.write_text("path,finger\na/two.png,anna\na/one.png,anna\nb/one.png,bert\n")
    prints = read_dataset(table)
    assert [(p.finger, p.impression, p.ppi) for p in prints] == [
        ("anna", "2", 500),
        ("anna", "3", 500),
        ("bert", "4", 500),
    ]
    assert {p.dataset for p in prints} == {"prints"}
    assert prints[0].path == table.parent / "a/two.png"
    assert print_name(prints[0], table) == "a/two.png"


def test_every_column_is_used_and_others_are_left_alone(table):
    table.write_text(
        "quality,dataset,path,impression,finger,ppi\n"
        "3,sensor A,a/one.png,left,f1,1000\n1,sensor B,b/one.png,left,f1,\n"
    )
    first, second = read_dataset(table)
    assert (first.dataset, first.finger, first.impression, first.ppi) == (
        "sensor A",
        "f1",
        "left",
        1000,
    )
    assert second.ppi == 500


def test_equal_names_in_two_data_sets_are_two_fingers(table):
    table.write_text("path,finger,dataset\na/one.png,1,A\nb/one.png,1,B\n")
    (pair,) = fvc_pairs(read_dataset(table))
    assert not pair.genuine


def test_spreadsheets_write_a_byte_order_mark(table):
    table.write_text("path,finger\na/one.png,anna\n", encoding="utf-8-sig")
    assert read_dataset(table)[0].finger == "anna"


def test_a_print_elsewhere_keeps_its_whole_path(table, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "x.png"
    other.touch()
    table.write_text(f"path,finger\n{other},anna\n")
    assert print_name(read_dataset(table)[0], table) == other.as_posix()


def test_given_resolution_wins_with_a_warning(table, caplog):
    table.write_text("path,finger,ppi\na/one.png,anna,1000\n")
    assert read_dataset(table, ppi=500)[0].ppi == 500
    assert "has a column ppi" in caplog.text


def test_errors_name_line_and_column(table):
    assert "line 1: no column finger among path, id" in message(table, "path,id\na/one.png,1\n")
    assert "line 1: no column path among id, finger" in message(table, "id,finger\na,1\n")
    assert "line 1: no column finger among none" in message(table, "")
    assert "lists no prints" in message(table, "path,finger\n")
    assert "line 3: column finger is empty" in message(
        table, "path,finger\na/one.png,1\nb/one.png,\n"
    )
    assert "line 2, column ppi: 'fine'" in message(table, "path,finger,ppi\na/one.png,1,fine\n")
    assert "line 2, column ppi: '9'" in message(table, "path,finger,ppi\na/one.png,1,9\n")
    assert "both impression x of finger 1" in message(
        table, "path,finger,impression\na/one.png,1,x\na/two.png,1,x\n"
    )
    assert "line 2: no such image" in message(
        table, "path,finger\nmissing.png,1\n", FileNotFoundError
    )


def test_a_table_that_is_no_text(table):
    table.write_bytes(b"\xff\xfe\x00path")
    with pytest.raises(ValueError, match="is no utf-16 text"):
        read_dataset(table)
