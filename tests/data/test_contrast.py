"""Prints that differ by brightness and contrast alone are one print; what is blank stays so."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ifvit.data.contrast import brought_to_usual
from ifvit.data.given import grey_values
from ifvit.data.images import decode, read_image
from ifvit.data.prints import ridge_area

DRAW = np.random.default_rng(0)


def as_bits(values: np.ndarray, bits: int) -> np.ndarray:
    return np.round(values * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("scale", [1.0, 0.6, 0.34, 0.2, 0.1, 0.06, 0.03])
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_the_area_of_ridges_is_that_of_the_whole_range(ridge_print, bits, scale, place):
    expected = ridge_area(ridge_print, 500)
    faint = scale * ridge_print + place * (1 - scale)
    for given in (as_bits(faint, bits), faint.astype(np.float32)):
        found = grey_values(given, "print")
        area = ridge_area(found, 500)
        assert (area ^ expected).mean() < 0.02
        alike = np.corrcoef(found[expected], ridge_print[expected])[0, 1]
        assert alike > (0.97 if bits == 8 and scale < 0.05 else 0.995)


@pytest.mark.parametrize("depth", [10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_frame_of_fewer_bits_in_a_file_of_sixteen(ridge_print, depth, kind):
    frame = np.round(ridge_print * (2**depth - 1)).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, format=kind)
    found = decode(io.BytesIO(buffer.getvalue()), "frame")
    assert (ridge_area(found, 500) ^ ridge_area(ridge_print, 500)).mean() < 0.02
    assert np.ptp(found) > 0.7


@pytest.mark.parametrize("range_", [0.41, 0.6, 0.9, 1.0])
def test_prints_as_sensors_make_them_are_left_as_they_are(ridge_print, range_):
    low = float(ridge_print.min())
    print_ = ((ridge_print - low) / np.ptp(ridge_print) * range_).astype(np.float32)
    assert brought_to_usual(print_) is print_


def blank(kind: str) -> np.ndarray:
    x = np.arange(240) * np.ones((200, 1))
    if kind == "one grey":
        return np.full((200, 240), 0.7)
    if kind == "slope":
        return 0.5 + 0.2 * x / 240
    if kind == "two levels":
        return 0.5 + (x > 120) / 255
    return 0.8 + float(kind) / 255 * DRAW.standard_normal((200, 240))


@pytest.mark.parametrize("kind", ["one grey", "slope", "two levels", "0.5", "1", "2", "4", "8"])
@pytest.mark.parametrize("bits", [8, 16])
def test_what_is_blank_stays_blank(kind, bits):
    """The noise of a sensor, a shadow and an edge are no ridges, however faint they are."""
    found = grey_values(as_bits(np.clip(blank(kind), 0, 1), bits), "blank")
    assert not ridge_area(found, 500).any()


def test_real_prints_are_left_as_they_are(ifvit_data):
    for name in ("fvc2000_db2_b", "fvc2002_db1_b", "fvc2004_db3_b"):
        for path in sorted((ifvit_data / name).glob("*.*"))[::9]:
            with Image.open(path) as image:
                plain = np.asarray(image.convert("L")).astype(np.float32) / 255
            np.testing.assert_array_equal(read_image(path), plain)
