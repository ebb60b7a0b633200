from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from ifvit.data.prints import Print
from ifvit.data.readers import known_ppi, read_dataset, split_fingers


def make(root: Path, *names: str) -> Path:
    """Put an empty file at each name, in an order that is not the sorted one."""
    for name in random.Random(0).sample(names, len(names)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def identities(prints: list[Print]) -> list[tuple[str, str]]:
    return [(p.finger, p.impression) for p in prints]


def listed(fingers: int, impressions: int = 2) -> list[Print]:
    return [
        Print("set", str(f), str(i), Path(f"{f}_{i}.png"), 500)
        for f in range(1, fingers + 1)
        for i in range(1, impressions + 1)
    ]


def test_fvc_layout_sorts_by_number(tmp_path):
    make(tmp_path, "10_1.tif", "9_10.TIF", "9_2.png", "100_1.bmp", "9_1.jpeg")
    expected = [("9", "1"), ("9", "2"), ("9", "10"), ("10", "1"), ("100", "1")]
    prints = read_dataset(tmp_path)
    assert identities(prints) == expected
    assert prints[0].path == tmp_path / "9_1.jpeg"
    assert prints[0].dataset == tmp_path.name
    assert prints[0].ppi == 500


def test_fvc_numbers_ignore_zero_padding(tmp_path):
    make(tmp_path, "01_10.png", "1_02.png", "002_1.png", "10_1.png")
    expected = [("1", "2"), ("1", "10"), ("2", "1"), ("10", "1")]
    assert identities(read_dataset(tmp_path)) == expected


def test_two_files_of_one_impression(tmp_path):
    make(tmp_path, "1_1.png", "01_1.tif")
    with pytest.raises(ValueError, match=r"01_1\.tif and .*1_1\.png are both impression 1"):
        read_dataset(tmp_path)


def test_images_that_do_not_fit_are_named(tmp_path, caplog):
    make(
        tmp_path,
        "1_1.png",
        "1_2.png",
        "notes.png",
        "contact_sheet.png",
        "manifest.csv",
        "._1_1.png",
    )
    assert len(read_dataset(tmp_path)) == 2
    assert [r.getMessage() for r in caplog.records] == [
        f"{tmp_path}: left out 1 images not named FINGER_IMPRESSION (notes.png)"
    ]


def test_one_folder_per_finger(tmp_path):
    make(tmp_path, "f10/a.png", "f9/02.png", "f9/10.png", "f9/1.png", ".git/x.png", "docs/x.md")
    expected = [("f9", "1"), ("f9", "02"), ("f9", "10"), ("f10", "a")]
    assert identities(read_dataset(tmp_path)) == expected


def test_several_data_sets_are_not_taken_for_fingers(tmp_path):
    make(tmp_path, "db1/1_1.png", "db1/2_1.png", "db2/1_1.png")
    with pytest.raises(ValueError, match=r"several data sets: db1 .* 2 fingers"):
        read_dataset(tmp_path)


def test_folder_per_finger_may_repeat_the_finger_in_the_name(tmp_path):
    make(tmp_path, "101/101_1.png", "101/101_2.png", "102/102_1.png")
    assert {p.finger for p in read_dataset(tmp_path)} == {"101", "102"}


def test_unrecognised_layout_says_what_is_there(tmp_path):
    make(tmp_path, "scan.png", "IMG-2.png", "empty/readme.txt")
    with pytest.raises(ValueError) as caught:
        read_dataset(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert "FINGER_IMPRESSION" in message and "one folder of images per finger" in message
    assert "found 2 images (such as IMG-2.png) and 1 folders" in message


def test_root_that_is_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder of prints"):
        read_dataset(tmp_path / "none")
    with pytest.raises(ValueError, match="is a file"):
        read_dataset(make(tmp_path, "1_1.png") / "1_1.png")


@pytest.mark.parametrize(
    ("folder", "ppi"),
    [
        ("fvc2002_db2_a", 569),
        ("FVC2002-DB2", 569),
        ("FVC2002/DB2_A", 569),
        ("FVC2002/Dbs/DB2_B", 569),
        ("fvc2004_db3_b", 512),
        ("FVC2004/DB3_A", 512),
        ("FVC2006/DB1_A", 250),
        ("fvc2004_db1_b", 500),
        ("fvc2000_db2_b", 500),
        ("fvc2004_db3_a_at_500", None),
        ("db3_a", None),
        ("mine", None),
    ],
)
def test_known_resolutions(tmp_path, folder, ppi):
    assert known_ppi(tmp_path / folder) == ppi


def test_known_resolution_through_a_link(tmp_path):
    make(tmp_path, "fvc2004_db3_b/1_1.tif")
    (tmp_path / "prints").symlink_to(tmp_path / "fvc2004_db3_b")
    assert read_dataset(tmp_path / "prints")[0].ppi == 512


def test_given_resolution_wins_with_a_warning(tmp_path, caplog):
    root = make(tmp_path / "fvc2004_db3_b", "1_1.tif")
    assert read_dataset(root)[0].ppi == 512
    assert not caplog.records
    assert read_dataset(root, ppi=500)[0].ppi == 500
    assert "known to be of 512 ppi" in caplog.text
    with pytest.raises(ValueError, match="cannot be right"):
        read_dataset(root, ppi=0)


def test_split_never_divides_a_finger_and_knows_no_order():
    prints = listed(12, 3)
    train, val = split_fingers(prints, 4, seed=1)
    assert len(val) == 12 and len(train) == 24
    assert not {p.finger for p in train} & {p.finger for p in val}
    shuffled = random.Random(5).sample(prints, len(prints))
    assert split_fingers(shuffled, 4, seed=1) == (train, val)
    assert split_fingers(prints, 4, seed=2) != (train, val)
    assert split_fingers(prints, 0, seed=1) == (prints, [])


@pytest.mark.parametrize("holdout", [-1, 3, 4])
def test_split_leaves_a_finger_to_train_on(holdout):
    with pytest.raises(ValueError, match=r"of 3 fingers: expected fewer than there are; set --val"):
        split_fingers(listed(3), holdout, seed=0)


def test_a_tree_is_listed_once_through_links_and_loops(tmp_path, monkeypatch):
    make(tmp_path / "set", "b/1.png", "b/2.png", "a/1.png", "a/deep/9.png", ".trash/1.png")
    (tmp_path / "set" / "a" / "loop").symlink_to(tmp_path / "set")
    make(tmp_path, "elsewhere/7.png")
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    listed, scandir = [], os.scandir

    def counted(folder):
        listed.append(Path(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", counted)
    prints = read_dataset(tmp_path / "set")
    assert identities(prints) == [("a", "1"), ("b", "1"), ("b", "2"), ("linked", "7")]
    below = [folder for folder in listed if folder != tmp_path / "set"]
    assert len(below) == len(set(below)) == 5


@pytest.mark.parametrize("layout", ["{}_{}.png", "finger {}/{}.png"])
@pytest.mark.parametrize("target", ["nowhere.png", "itself"])
def test_links_that_lead_nowhere_are_left_out_with_a_warning(tmp_path, caplog, layout, target):
    names = [layout.format(finger, impression) for finger in (1, 2) for impression in (1, 2)]
    make(tmp_path, *names)
    for finger in (1, 2):
        link = tmp_path / layout.format(finger, 3)
        link.symlink_to(link.name if target == "itself" else target)
    assert len(read_dataset(tmp_path)) == 4
    told = [one.getMessage() for one in caplog.records if "lead nowhere" in one.getMessage()]
    assert sum(int(text.split()[0]) for text in told) == 2 and str(tmp_path) in told[0]


def test_real_sets(ifvit_data):
    for name, ppi in [("fvc2002_db1_b", 500), ("fvc2004_db3_b", 512), ("fvc2000_db2_b", 500)]:
        prints = read_dataset(ifvit_data / name)
        assert len(prints) == 80 and prints[0].ppi == ppi
        assert len({p.finger for p in prints}) == 10
