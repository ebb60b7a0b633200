"""Prints in memory: arrays, pictures, open files and numbers as programs happen to have them."""

from __future__ import annotations

import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image, ImageFile

from ifvit.data.damage import MOST_MM, PrintError
from ifvit.data.examples import example_prints
from ifvit.data.given import as_path, each_ppi, grey_values
from ifvit.data.images import decode, read_image
from ifvit.data.prints import check_ppi
from ifvit.features.features import read_features
from ifvit.matcher import Matcher

WHOLE = example_prints()[0]
GREY = np.asarray(Image.open(WHOLE))


def saved(kind: str, picture: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


def same(given: object) -> bool:
    return bool(np.array_equal(grey_values(given, "print 0"), GREY / np.float32(255)))


@pytest.mark.parametrize("number", [np.int64, np.uint16, np.float32, int, float, Fraction])
def test_a_resolution_is_a_number_of_any_type(number):
    assert each_ppi(number(500)) == each_ppi((number(500), 500)) == (500, 500)
    assert each_ppi(np.array([number(500), 250], float)) == (500, 250)
    check_ppi(number(500))


WRONG = ["500", "50", b"55", ("500", "500"), (1, 2, 3), (), {500: 1}, Decimal(500), object()]


@pytest.mark.parametrize("ppi", [*WRONG, np.array(500), np.zeros((2, 2)), iter([500, 500])])
def test_what_is_no_resolution_is_an_error_in_words(ppi):
    with pytest.raises(ValueError, match="expected one number"):
        each_ppi(ppi)
    with pytest.raises(ValueError, match="expected 100 to 4000"):
        check_ppi(ppi)


def layouts() -> dict[str, np.ndarray]:
    """Return the same greys as arrays of every layout, type and class."""
    wide = np.zeros((GREY.shape[0], 2 * GREY.shape[1]), np.uint8)
    wide[:, ::2] = GREY
    fields = np.zeros(GREY.shape, [("alpha", "u1"), ("grey", "u1")])
    fields["grey"] = GREY
    return {
        "turned twice": np.flipud(np.flipud(GREY).copy()),
        "columns first": np.asfortranarray(GREY),
        "every second": wide[:, ::2],
        "a field": fields["grey"],
        "matrix": GREY.view(np.matrix),
        "masked nowhere": np.ma.masked_array(GREY),
        "big-endian": GREY.astype(">u2") * 257,
        "read only": np.frombuffer(GREY.tobytes(), np.uint8).reshape(GREY.shape),
    }


@pytest.mark.parametrize("name", layouts())
def test_arrays_of_any_layout_are_the_same_print(name):
    values = layouts()[name]
    assert same(values)
    found = grey_values(values.astype(np.float64) / values.max(), "print 0")
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, GREY / GREY.max(), atol=1e-6)
    assert read_features(values).digest == read_features(GREY).digest


@pytest.mark.parametrize("values", [GREY, GREY / 255], ids=["uint8", "float"])
def test_masked_values_are_refused(values):
    masked = np.ma.masked_less(values, values.max() / 4)
    with pytest.raises(PrintError, match="print 0 is an array with masked values"):
        grey_values(masked, "print 0")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.float64])
def test_a_buffer_may_be_used_again(kind):
    """As that of a camera, which holds the next image before this one is matched."""
    most = {np.uint8: 1, np.uint16: 257}.get(kind, 1 / 255)
    buffer = (GREY.astype(float) * most).astype(kind)
    found = grey_values(buffer, "print 0")
    before = found.copy()
    buffer[:] = 0
    np.testing.assert_array_equal(found, before)


def test_what_stands_for_a_path_is_one(tmp_path):
    (tmp_path / "é 指.png").write_bytes(WHOLE.read_bytes())
    for folder in (tmp_path, os.fsencode(tmp_path)):
        (entry,) = os.scandir(folder)
        assert same(entry) and as_path(entry) == tmp_path / "é 指.png"
        assert Matcher.from_pretrained().extract(entry).name == "é 指.png"


def test_open_files_that_give_nothing_are_named(tmp_path):
    closed = WHOLE.open("rb")
    closed.close()
    read = WHOLE.open("rb")
    read.read()
    with (tmp_path / "x").open("wb") as writing, read:
        for file, said in ((closed, "closed"), (writing, "read"), (read, "seek")):
            with pytest.raises(PrintError, match=f"^print 1 .*{said}"):
                grey_values(file, "print 1")


def test_one_open_file_given_twice_is_read_once():
    with WHOLE.open("rb") as file:
        first, second = Matcher.from_pretrained().aligner.extractor.extract_both(file, file)
    assert first.digest == second.digest


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_threads_may_share_a_picture_that_was_not_read_yet(kind):
    """Pillow reads it when it is first used, and its turn by EXIF too."""
    exif = Image.Exif()
    exif[0x112] = 6
    data = saved(kind, Image.fromarray(GREY), exif=exif)
    expected = grey_values(data, "print 0")
    assert expected.shape == GREY.shape[::-1]
    for _ in range(8):
        picture, together = Image.open(io.BytesIO(data)), threading.Barrier(4)

        def read(_: int, picture=picture, together=together) -> np.ndarray:
            together.wait()
            return grey_values(picture, "print 0")

        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(read, range(4)):
                np.testing.assert_array_equal(found, expected)


CUT = ["PNG", "JPEG", "TIFF", "BMP", "GIF", "PPM", "WEBP", "JPEG2000"]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", CUT)
def test_a_file_that_is_cut_is_refused_whatever_pillow_was_told(kind, share, tmp_path, monkeypatch):
    data = saved(kind, Image.fromarray(GREY))
    path = tmp_path / "cut"
    path.write_bytes(data[: int(share * len(data))])
    for setting in (True, False):
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", setting)
        with pytest.raises(PrintError, match="cut"):
            read_image(path)
        assert setting == ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        picture = Image.open(io.BytesIO(path.read_bytes()))
    except OSError:
        return
    with pytest.raises(PrintError, match=r"^print 0 cannot be decoded"):
        grey_values(picture, "print 0")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", [kind for kind in CUT if kind != "JPEG2000"])
@pytest.mark.heavy
def test_a_thread_that_is_done_leaves_the_others_their_rules(kind, share, monkeypatch):
    """Pillow's settings are all threads' own: another reads a print while this one is at it."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data, small = saved(kind, Image.fromarray(GREY)), saved("PNG", Image.fromarray(GREY[:40, :40]))

    class Meanwhile(io.BytesIO):
        def read(self, *size: int) -> bytes:
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(grey_values, small, "another").result().shape == (40, 40)
            return super().read(*size)

    with pytest.raises(PrintError, match="cut"):
        decode(Meanwhile(data[: int(share * len(data))]), "cut")
    assert ImageFile.LOAD_TRUNCATED_IMAGES
    np.testing.assert_array_equal(decode(Meanwhile(data), "x"), grey_values(data, "x"))


@pytest.mark.parametrize("limit", [None, 1, 1000])
def test_pillows_own_limit_is_not_that_of_prints(limit, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert same(WHOLE) and same(WHOLE.read_bytes())
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("ppi", [100, 137.5, 250, 497])
def test_what_a_print_takes_is_bounded_in_millimetres(ppi):
    """Everything is drawn at 500 ppi: an image of 4096 px at 100 ppi would take seven gigabytes."""
    longest = min(int(MOST_MM * ppi / 25.4), 4095)
    for side, refused in ((longest, False), (longest + 1, True), (4096, True)):
        for shape in ((24, side), (side, 24)):
            with pytest.raises(PrintError) as caught:
                read_features(np.ones(shape, np.uint8), ppi, "the print")
            assert (f"mm long at {ppi:g} ppi" in str(caught.value)) == refused
            assert str(caught.value).startswith("the print is") == refused
