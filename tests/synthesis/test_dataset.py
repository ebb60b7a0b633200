"""A synthetic data set on disk: names, pixels, manifest, maps, and that nothing is overwritten."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from ifvit.data.images import read_image
from ifvit.data.readers import read_dataset
from ifvit.synthesis import draw_impression, finger_key, in_contact, to_master
from ifvit.synthesis.dataset import MANIFEST_FIELDS, DatasetSpec, make_dataset, write_dataset
from ifvit.synthesis.draw import SENSORS
from ifvit.synthesis.orientation import CLASSES
from ifvit.synthesis.sensor import frame_points

NAMES = [f"{finger}_{impression}" for finger in (1, 2, 3) for impression in (1, 2)]


def test_files_are_fvc_named_8_bit_pngs_at_500_ppi(print_folder, print_spec):
    assert sorted(p.name for p in print_folder.glob("*.*")) == sorted(
        ["manifest.csv", *(f"{name}.png" for name in NAMES)]
    )
    for name in NAMES:
        with Image.open(print_folder / f"{name}.png") as image:
            assert image.mode == "L" and image.size == (print_spec.width, print_spec.height)
            assert image.info["dpi"] == pytest.approx((500, 500), abs=0.1)
            assert np.asarray(image).std() > 20  # ridges, not a blank


def test_pixels_are_those_that_were_rendered(print_folder, print_spec):
    for finger, impression, _, _, made in make_dataset(print_spec):
        read = read_image(print_folder / f"{finger + 1}_{impression + 1}.png")
        np.testing.assert_allclose(read, made.image, atol=0.5 / 255 + 1e-6)


def test_manifest_has_a_row_per_print(print_folder, print_spec):
    with (print_folder / "manifest.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert tuple(reader.fieldnames or ()) == MANIFEST_FIELDS
    assert [row["file"] for row in rows] == [f"{name}.png" for name in NAMES]
    for row in rows:
        key = finger_key(print_spec.seed, print_spec.first_finger + int(row["finger"]) - 1)
        params = draw_impression(key, int(row["impression"]) - 1)
        assert row["sensor"] == SENSORS[int(params.sensor)]
        assert float(row["rotation_deg"]) == pytest.approx(np.rad2deg(params.rotation), abs=0.01)
        assert row["pattern"] in CLASSES
        assert (row["seed"], row["ppi"]) == ("0", "500")
    assert rows[0]["pattern"] == rows[1]["pattern"]


def test_maps_are_the_maps(print_folder, print_spec):
    shape = (print_spec.height, print_spec.width)
    for name in NAMES:
        finger, impression = (int(part) - 1 for part in name.split("_"))
        key = finger_key(print_spec.seed, print_spec.first_finger + finger)
        params = draw_impression(key, impression)
        with np.load(print_folder / "maps" / f"{name}.npz", allow_pickle=False) as maps:
            assert sorted(maps) == ["contact", "to_master"]
            on_master, contact = maps["to_master"], maps["contact"]
        assert on_master.dtype == np.float32 and on_master.shape == (*shape, 2)
        points = frame_points(shape)
        np.testing.assert_allclose(on_master, to_master(params, points, shape), atol=0.01)
        assert contact.dtype == bool
        assert (contact == np.asarray(in_contact(params, points, shape))).mean() > 0.999


def test_the_reader_lists_it(print_folder):
    prints = read_dataset(print_folder)
    assert [f"{p.finger}_{p.impression}" for p in prints] == NAMES
    assert {p.ppi for p in prints} == {500}


def test_nothing_is_overwritten(print_folder, print_spec):
    before = (print_folder / "1_1.png").read_bytes()
    with pytest.raises(ValueError, match=r"holds a data set already: give another --out"):
        write_dataset(print_folder, print_spec)
    assert (print_folder / "1_1.png").read_bytes() == before


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"fingers": 0}, "at least 1"),
        ({"impressions": -1}, "at least 1"),
        ({"height": 63}, "64 to 4096"),
        ({"width": 5000}, "64 to 4096"),
        ({"seed": -1}, "not be negative"),
        ({"first_finger": -1}, "not be negative"),
    ],
)
def test_what_cannot_be_made_is_refused(values, complaint):
    with pytest.raises(ValueError, match=complaint):
        DatasetSpec(**values)


def test_prints_of_another_origin_are_kept_aside(tmp_path, print_spec):
    """A folder that holds somebody's prints; those of a run that was stopped are made again."""
    spec = replace(print_spec, maps=False)
    for name in ("1_1", "2_2"):
        Image.new("L", (80, 80)).save(tmp_path / f"{name}.png")
    foreign = (tmp_path / "1_1.png").read_bytes()
    paths = write_dataset(tmp_path, spec)
    made = [path.read_bytes() for path in paths]
    assert foreign not in made
    assert all((tmp_path / f"{n}.1.png").read_bytes() == foreign for n in ("1_1", "2_2"))
    (tmp_path / "manifest.csv").unlink()  # written last: as if the run had been stopped before
    assert [path.read_bytes() for path in write_dataset(tmp_path, spec)] == made
    assert len(list(tmp_path.iterdir())) == len(paths) + 3


@pytest.mark.parametrize("left", ["4_1.png", "1_3.png", "12_8.png"])
def test_what_a_larger_set_left_is_not_read_as_this_ones(tmp_path, left):
    """A run that was stopped has no table yet, and its prints are named like any other's."""
    (tmp_path / left).touch()
    with pytest.raises(ValueError, match=f"larger set, such as {left}"):
        write_dataset(tmp_path, DatasetSpec(fingers=3, impressions=2))


@pytest.mark.heavy
def test_a_set_is_finished_by_its_table_after_all_else(tmp_path):
    spec, seen = DatasetSpec(fingers=1, impressions=1), []

    def overview(paths):
        seen.extend(path.name for path in paths)
        assert not (tmp_path / "manifest.csv").exists()

    write_dataset(tmp_path, spec, overview=overview)
    assert seen == ["1_1.png"]
