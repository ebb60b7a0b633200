"""Folders of prints decoded once: the same canvases from files, from memory and from the cache."""

from __future__ import annotations

import logging
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ifvit.cache import MAPPED, MAPPED_SUM
from ifvit.data import store
from ifvit.data.images import read_image
from ifvit.data.prints import load_canvas
from ifvit.data.readers import read_dataset, split_fingers
from ifvit.data.store import read_canvases

SIDE = 96


@pytest.fixture
def folder(tmp_path) -> Path:
    """Five fingers of two prints each; all differ."""
    root = tmp_path / "prints"
    root.mkdir()
    for number in range(10):
        wave = np.where((np.arange(80) + number) % 9 < 5, 0, 255).astype(np.uint8)
        Image.fromarray(np.tile(wave, (80, 1))).save(root / f"{number // 2}_{number % 2}.png")
    return root


@pytest.fixture
def cached(tmp_path, monkeypatch) -> Path:
    """A cache of its own, and the list of what was decoded."""
    monkeypatch.setenv("IFVIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IFVIT_CACHE_GB", raising=False)
    return tmp_path / "cache" / "prints"


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """The names of the files that were decoded."""
    names: list[str] = []
    decode = store.load_canvas

    def counted(path, *args):
        names.append(Path(path).name)
        return decode(path, *args)

    monkeypatch.setattr(store, "load_canvas", counted)
    return names


def expected(prints) -> np.ndarray:
    return np.stack([np.round(load_canvas(p.path, p.ppi, 500, SIDE) * 255) for p in prints])


def test_in_order_and_as_one_by_one(folder, monkeypatch):
    monkeypatch.setattr(store, "AT_ONCE", 3)
    prints = read_dataset(folder)
    read = read_canvases(prints, SIDE)
    assert read.prints == prints and len(read) == 10
    assert not isinstance(read.pixels, np.memmap) and read.pixels.dtype == np.uint8
    np.testing.assert_array_equal(read.take(np.arange(10)), expected(prints))
    assert read.labels().tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_decoded_once_and_then_mapped_from_the_cache(folder, cached, decoded):
    prints = read_dataset(folder)
    first = read_canvases(prints, SIDE)
    assert sorted(decoded) == sorted(p.path.name for p in prints)
    again = read_canvases(prints, SIDE)
    assert len(decoded) == 10 and isinstance(again.pixels, np.memmap)
    (file,) = cached.iterdir()
    assert file.name.endswith(MAPPED) and file.stat().st_size == 10 * (SIDE * SIDE + 1) + MAPPED_SUM
    for read in (first, again):
        np.testing.assert_array_equal(read.take(np.arange(10)), expected(prints))
    taken = again.take(np.array([[3, 1], [0, 3]]))
    assert taken.shape == (2, 2, SIDE, SIDE) and type(taken) is np.ndarray


def test_prints_that_vanish_after_the_start_are_not_missed(folder, cached):
    prints = read_dataset(folder)
    read, whole = read_canvases(prints, SIDE), expected(prints)
    for item in prints:
        item.path.unlink()
    for file in cached.iterdir():
        file.unlink()
    np.testing.assert_array_equal(read.take(np.arange(10)), whole)


def test_a_changed_print_another_side_or_a_cut_file_is_decoded_again(folder, cached, decoded):
    prints = read_dataset(folder)
    read_canvases(prints, SIDE)
    (file,) = cached.iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    read = read_canvases(prints, SIDE)
    assert len(decoded) == 20
    np.testing.assert_array_equal(read.take(np.arange(10)), expected(prints))
    read_canvases(prints, SIDE + 8)
    assert len(decoded) == 30
    os.utime(prints[4].path, (1000, 1000))
    read_canvases(prints, SIDE)
    assert len(decoded) == 40


def test_a_set_that_has_no_room_is_held_in_memory(folder, cached, monkeypatch, caplog):
    monkeypatch.setenv("IFVIT_CACHE_GB", "0.00001")
    prints = read_dataset(folder)
    with caplog.at_level(logging.INFO, "ifvit"):
        read = read_canvases(prints, SIDE)
    assert "no room" in caplog.text and not list(cached.glob("*"))
    assert not isinstance(read.pixels, np.memmap)
    np.testing.assert_array_equal(read.take(np.arange(10)), expected(prints))


def test_parts_of_a_folder_share_its_pixels(folder):
    read = read_canvases(read_dataset(folder), SIDE)
    train, held = (read.of(prints) for prints in split_fingers(read.prints, 2, 0))
    assert (len(train), len(held)) == (6, 4) and train.pixels is read.pixels is held.pixels
    np.testing.assert_array_equal(held.take(np.arange(4)), expected(held.prints))
    assert train.labels().tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("turn", ["first", "from the cache"])
def test_an_unreadable_print_is_named_and_skipped(folder, cached, caplog, turn):
    (folder / "2_0.png").write_text("no image")
    prints = read_dataset(folder)
    if turn == "from the cache":
        read_canvases(prints, SIDE, limit=0.1)
    with caplog.at_level(logging.WARNING, logger="ifvit"):
        caplog.clear()
        read = read_canvases(prints, SIDE, limit=0.1)
    assert read.prints == prints[:4] + prints[5:] and len(read.rows) == 9
    np.testing.assert_array_equal(read.take(np.arange(9)), expected(read.prints))
    (record,) = caplog.records
    assert record.name == "ifvit"
    assert "2_0.png" in record.getMessage() and "not an image" in record.getMessage()


def test_too_many_unreadable_prints_stop(folder):
    (folder / "2_0.png").write_text("no image")
    prints = read_dataset(folder)
    (folder / "2_1.png").unlink()  # vanished since it was listed
    with pytest.raises(ValueError, match=r"2 of 10 prints cannot be read \(2_0\.png, 2_1.*1%"):
        read_canvases(prints, SIDE)


def test_what_can_be_read_at_last_is_decoded_again(folder, cached, monkeypatch):
    """A decoder that was installed in between changes no file."""
    prints = read_dataset(folder)
    decode = store.load_canvas

    def missing(path, *args):
        if path == prints[3].path:
            raise ValueError("needs a decoder")
        return decode(path, *args)

    with monkeypatch.context() as patch:
        patch.setattr(store, "load_canvas", missing)
        assert len(read_canvases(prints, SIDE, limit=0.1)) == 9
    read = read_canvases(prints, SIDE, limit=0.1)
    np.testing.assert_array_equal(read.take(np.arange(10)), expected(prints))


def test_reading_in_threads_leaves_pythons_warnings_as_they_were(folder):
    before = list(warnings.filters)
    paths = [item.path for item in read_dataset(folder)] * 20
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(read_image, paths))) == 200
    assert warnings.filters == before
