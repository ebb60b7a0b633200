"""A print in any of the ways that someone may have it gives the same grey values."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ifvit.data.given import each_ppi, grey_values, name_of
from ifvit.data.images import read_image


@pytest.fixture
def path(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (80, 70), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / "print.png")
    return tmp_path / "print.png"


def test_every_way_gives_the_same_grey_values(path) -> None:
    expected = read_image(path)
    content = path.read_bytes()
    picture = Image.open(io.BytesIO(content))
    array = np.asarray(picture)
    with path.open("rb") as file:
        ways = [path, str(path), content, bytearray(content), io.BytesIO(content), file]
        ways += [picture, array, array.astype(np.uint16) * 257, expected]
        for given in ways:
            found = grey_values(given, "print 0")
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((80, 70, 3), np.uint8), "array of shape (80, 70, 3): expected grey values"),
        (np.zeros((80, 20), np.uint8), "array of shape (80, 20)"),
        (np.zeros((80, 70), np.int64), "array of int64: expected floats in [0, 1], uint8 or"),
        (np.full((80, 70), 200.0), "grey values from 200 to 200: expected [0, 1]"),
        (np.full((80, 70), np.nan), "grey values from nan to nan"),
        (b"no image", "not an image that can be read"),
        (b"", "not an image that can be read"),
        (io.BytesIO(b"\xff\xa0"), "cannot be decoded"),
        (Image.new("L", (10, 80)), "too small (10×80 px)"),
        (None, "of type NoneType: expected a path"),
        ([[0.5]], "of type list: expected a path"),
    ],
)
def test_what_is_no_print_is_told_by_name(given, said) -> None:
    with pytest.raises(ValueError) as caught:
        grey_values(given, "print 1")
    assert str(caught.value).startswith("print 1") and said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names(path) -> None:
    assert name_of(path, "a") == name_of(str(path)) == "print.png"
    assert name_of(np.zeros((2, 2)), "print 0") == "print 0" and name_of(b"") == ""
    with path.open("rb") as file:
        assert name_of(file) == "print.png"


def test_one_resolution_or_one_each() -> None:
    assert each_ppi(None) == (None, None) and each_ppi(1000) == (1000, 1000)
    assert each_ppi((1000, 500)) == (1000, 500) and each_ppi((None, 569)) == (None, 569)
    with pytest.raises(ValueError, match="one for each of the two prints"):
        each_ppi((1, 2, 3))
