"""Published data sets, each as a made-up tree of empty files with the names that it has."""

from __future__ import annotations

import pytest

from ifvit.data.readers import read_dataset


def make(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def identities(root):
    return {(p.finger, p.impression) for p in read_dataset(root)}


def test_sd4_pairs_the_two_rollings_of_a_finger(tmp_path):
    folder = "png_txt/figs_0"
    make(tmp_path, *(f"{folder}/{stem}.png" for stem in ("f0001_01", "s0001_01", "f0002_05")))
    make(tmp_path, f"{folder}/f0001_01.txt", "png_txt/figs_1/s0251_01.png")
    assert identities(tmp_path) == {
        ("0001_01", "f"),
        ("0001_01", "s"),
        ("0002_05", "f"),
        ("0251_01", "s"),
    }
    assert {p.ppi for p in read_dataset(tmp_path)} == {500}


def test_sd300_pairs_rolled_with_plain(tmp_path, caplog):
    """Plain thumbs have codes of their own, 11 and 12; 13 and 14 are slaps of four fingers."""
    make(
        tmp_path,
        "roll/png/00001000_roll_1000_01.png",
        "roll/png/00001000_roll_1000_06.png",
        "roll/png/00001000_roll_1000_02.png",
        "plain/png/00001000_plain_1000_11.png",
        "plain/png/00001000_plain_1000_12.png",
        "plain/png/00001000_plain_1000_13.png",
    )
    assert identities(tmp_path) == {
        ("00001000_01", "roll"),
        ("00001000_01", "plain"),
        ("00001000_06", "roll"),
        ("00001000_06", "plain"),
        ("00001000_02", "roll"),
    }
    assert {p.ppi for p in read_dataset(tmp_path)} == {1000}
    assert "left out 1 images" in caplog.text


def test_one_set_at_two_resolutions_would_count_every_print_twice(tmp_path):
    make(tmp_path, "500/00001000_roll_500_01.png", "1000/00001000_roll_1000_01.png")
    with pytest.raises(ValueError, match="500, 1000 ppi: give the folder of one resolution"):
        read_dataset(tmp_path)
    assert len(read_dataset(tmp_path / "500")) == 1


def test_sd301a_keeps_encounters_and_devices_apart(tmp_path, caplog):
    folder = "images/friction-ridge"
    make(
        tmp_path,
        f"{folder}/dryrun-A/500/roll/png/00002223_01_dryrun-A_500_roll_01.png",
        f"{folder}/dryrun-B/500/plain/png/00002223_01_dryrun-B_500_plain_11.png",
        f"{folder}/dryrun-B/500/plain/png/00002223_02_dryrun-B_500_plain_11.png",
        f"{folder}/dryrun-B/500/slap-segmented/png/00002223_01_dryrun-B_500_slap-segmented_02.png",
        f"{folder}/dryrun-B/500/slap/png/00002223_01_dryrun-B_500_slap_13.png",
        f"{folder}/dryrun-C/variable/roll/png/00002223_01_dryrun-C_variable_roll_01.png",
    )
    assert identities(tmp_path) == {
        ("00002223_01", "01_dryrun-A_roll"),
        ("00002223_01", "01_dryrun-B_plain"),
        ("00002223_01", "02_dryrun-B_plain"),
        ("00002223_02", "01_dryrun-B_slap-segmented"),
    }
    assert "left out 2 images" in caplog.text


def test_sd302a_has_eight_devices(tmp_path):
    folder = "images/challengers"
    names = [f"{folder}/{d}/roll/png/00002303_{d}_roll_{f}.png" for d in "AH" for f in ("01", "10")]
    make(tmp_path, *names)
    assert identities(tmp_path) == {
        ("00002303_01", "A_roll"),
        ("00002303_01", "H_roll"),
        ("00002303_10", "A_roll"),
        ("00002303_10", "H_roll"),
    }


def test_socofing_altered_prints_are_impressions_of_the_same_finger(tmp_path):
    make(
        tmp_path,
        "Real/100__M_Left_index_finger.BMP",
        "Real/1__F_Right_thumb_finger.BMP",
        "Altered/Altered-Easy/100__M_Left_index_finger_CR.BMP",
        "Altered/Altered-Hard/100__M_Left_index_finger_CR.BMP",
    )
    assert identities(tmp_path) == {
        ("100_Left_index", "Real"),
        ("100_Left_index", "Altered-Easy_CR"),
        ("100_Left_index", "Altered-Hard_CR"),
        ("1_Right_thumb", "Real"),
    }


def test_several_published_sets_below_one_folder(tmp_path):
    make(tmp_path, "sd4/f0001_01.png", "socofing/100__M_Left_index_finger.BMP")
    with pytest.raises(ValueError, match="several data sets: names of NIST SD4 and SOCOFing"):
        read_dataset(tmp_path)


def test_only_whole_names_count(tmp_path):
    """A finger's folder may hold anything, also what begins like a published name."""
    make(tmp_path, "anna/f0001_01_copy.png", "anna/2.png", "bert/1.png")
    assert identities(tmp_path) == {("anna", "f0001_01_copy"), ("anna", "2"), ("bert", "1")}


def test_an_unknown_layout_lists_what_was_looked_for(tmp_path):
    make(tmp_path, "holiday.png")
    with pytest.raises(ValueError) as caught:
        read_dataset(tmp_path)
    for name in ("SD4", "SD300", "SD301a", "SD302a", "SOCOFing", ".csv", ".wsq"):
        assert name in str(caught.value)
