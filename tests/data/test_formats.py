"""Images of every usual format: the same grey values, or a word; and which page is the print."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image, PpmImagePlugin, TiffImagePlugin

from ifvit.data.damage import PrintError
from ifvit.data.formats import EXTENSIONS
from ifvit.data.given import grey_values
from ifvit.data.images import MIN_SIDE, check_image, decode, read_image
from ifvit.data.readers import read_dataset
from ifvit.matcher import Matcher

SHAPE = (120, 90)


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    return Matcher.from_pretrained()


def ridges(shape: tuple[int, int] = SHAPE, most: int = 255) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    values = 0.5 + 0.5 * np.cos(np.hypot(x - 40, y - 70) * 0.7)
    return np.round(values * most).astype(np.uint8 if most < 256 else np.uint16)


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


LOSSLESS = {
    "PNG": {},
    "TIFF": {},
    "BMP": {},
    "GIF": {},
    "PPM": {},
    "WEBP": {"lossless": True},
    "JPEG2000": {},
}
MODES = ["L", "LA", "La", "RGB", "RGBA", "RGBa", "P", "CMYK", "I;16"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", LOSSLESS)
def test_every_format_gives_the_same_greys_in_any_mode_that_it_has(kind, mode):
    if mode == "I;16":
        picture = Image.fromarray(ridges(most=255).astype(np.uint16) * 257)
    else:
        whole = Image.fromarray(ridges()).convert(mode.upper() if mode in ("La", "RGBa") else mode)
        picture = whole.convert(mode)
    expected = ridges() / 255
    np.testing.assert_allclose(grey_values(picture, "picture"), expected, atol=2 / 255)
    if mode == "I;16" and kind in ("GIF", "WEBP"):
        pytest.skip(f"{kind} has no {mode}, and what Pillow writes instead is cut off at 255")
    try:
        data = saved(picture, kind, **LOSSLESS[kind])
    except (OSError, ValueError):
        pytest.skip(f"{kind} has no {mode}")
    # To be one of a GIF, colours are reduced to 256 of a cube.
    near = 0.1 if kind == "GIF" and mode not in ("L", "P") else 2 / 255
    np.testing.assert_allclose(decode(io.BytesIO(data), "x"), expected, atol=near)


def pgm(maximum: int, text: bool, comment: bool, colour: bool) -> bytes:
    values = np.round(ridges(most=65535) / 65535 * maximum).astype(int)
    values = np.repeat(values[..., None], 3, axis=2) if colour else values
    kind = {(False, False): 5, (True, False): 2, (False, True): 6, (True, True): 3}[text, colour]
    start = f"P{kind}\n{'# by a sensor' if comment else ''}\n{SHAPE[1]} {SHAPE[0]}\n{maximum}\n"
    wide = ">u2" if maximum > 255 else "u1"
    body = b" ".join(b"%d" % v for v in values.ravel()) if text else values.astype(wide).tobytes()
    return start.encode() + body


@pytest.mark.parametrize("seed", range(24))
def test_a_pgm_of_any_maximum(seed):
    draw = random.Random(seed)
    maximum = draw.choice([200, 255, 1000, 1023, 4095, 16383, 65535])
    data = pgm(maximum, draw.random() < 0.3, draw.random() < 0.5, draw.random() < 0.3)
    found = decode(io.BytesIO(data), "sensor.pgm")
    np.testing.assert_allclose(found, ridges(most=65535) / 65535, atol=0.006)
    with pytest.raises(PrintError, match=r"sensor\.pgm"):
        decode(io.BytesIO(data[: len(data) // 2]), "sensor.pgm")


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "array"])
def test_fewer_bits_in_16_are_the_same_print(bits, kind):
    """Nothing in such a file tells its depth but its values."""
    values = ridges(most=2**bits - 1).astype(np.uint16)
    given = values if kind == "array" else saved(Image.fromarray(values), kind)
    np.testing.assert_allclose(grey_values(given, "x"), ridges() / 255, atol=0.004)


def pages(*made: tuple[Image.Image, dict[int, int]]) -> bytes:
    buffer = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(buffer) as file:
        for page, tags in made:
            page.save(file, format="TIFF", tiffinfo=tags)
            file.newFrame()
    return buffer.getvalue()


@pytest.mark.parametrize("tags", [{}, {254: 1}, {255: 2}], ids=["untold", "new tag", "old tag"])
@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("share", [0.5, 0.3])
def test_a_thumbnail_is_never_the_print(tags, before, share, caplog):
    whole = Image.fromarray(ridges())
    small = whole.resize((round(SHAPE[1] * share), round(SHAPE[0] * share)))
    data = pages(*[(small, tags)] * before, (whole, {}), (small, tags))
    np.testing.assert_array_equal(decode(io.BytesIO(data), "x.tif"), np.float32(ridges()) / 255)
    assert not caplog.records


def test_pages_that_are_no_copies_are_a_warning(caplog):
    first = Image.fromarray(ridges())
    data = pages((first, {}), (Image.fromarray(255 - ridges()), {}), (first.rotate(9), {}))
    np.testing.assert_array_equal(decode(io.BytesIO(data), "x.tif"), np.float32(ridges()) / 255)
    assert [r.getMessage()[:40] for r in caplog.records] == [
        "x.tif has 3 pages: page 1 alone is read;"
    ]


@pytest.mark.parametrize("maximum", [1000, 1023, 4095, 16383])
@pytest.mark.parametrize("comment", [False, True])
def test_a_binary_pgm_is_not_read_pixel_by_pixel(monkeypatch, maximum, comment):
    """Which takes seconds a megapixel, wherever the maximum is not 255 or 65535."""
    slow = lambda *_: pytest.fail("it was read pixel by pixel")  # noqa: E731
    monkeypatch.setattr(PpmImagePlugin.PpmDecoder, "decode", slow)
    found = decode(io.BytesIO(pgm(maximum, False, comment, False)), "sensor.pgm")
    np.testing.assert_allclose(found, ridges(most=65535) / 65535, atol=0.006)


@pytest.mark.parametrize("tags", [{254: 1}, {255: 2}], ids=["new tag", "old tag"])
@pytest.mark.parametrize("share", [0.6, 0.8, 1.0])
def test_what_a_tag_calls_a_copy_is_one_of_any_size(tags, share, caplog):
    whole = Image.fromarray(ridges())
    copy = whole.resize((round(SHAPE[1] * share), round(SHAPE[0] * share))).rotate(180)
    data = pages((copy, tags), (whole, {}), (copy, tags))
    np.testing.assert_array_equal(decode(io.BytesIO(data), "x.tif"), np.float32(ridges()) / 255)
    assert not caplog.records


def test_the_ends_of_names_are_those_of_every_format():
    kinds = "png tif tiff bmp jpg jpeg wsq jp2 pgm gif webp"
    assert set(EXTENSIONS) == {f".{kind}" for kind in kinds.split()}


@pytest.mark.parametrize("end", EXTENSIONS)
def test_a_folder_of_any_format_is_a_data_set(tmp_path, end):
    for name in ("1_1", "1_2", "2_1"):
        (tmp_path / f"{name}{end.upper() if name == '2_1' else end}").touch()
    assert [(p.finger, p.impression) for p in read_dataset(tmp_path)] == [
        *(("1", "1"), ("1", "2"), ("2", "1"))
    ]


def test_what_is_open_as_text_is_said_to_be(tmp_path):
    (tmp_path / "a.txt").write_text("x" * 100, encoding="utf-8")
    with (
        open(tmp_path / "a.txt", encoding="utf-8") as file,
        pytest.raises(PrintError, match="open as text"),
    ):
        grey_values(file, "print 0")


@pytest.mark.parametrize("seed", range(16))
def test_small_images_are_prints_or_too_small_in_millimetres(seed, matcher: Matcher):
    """Of any sides and resolution: a template, or an error that says how much is wanted."""
    draw = random.Random(seed)
    ppi = draw.choice([250, 500, 1000])
    shape = draw.randrange(MIN_SIDE - 3, 90), draw.randrange(MIN_SIDE - 3, 120)
    y, x = np.mgrid[: shape[0], : shape[1]]
    phase = 2 * np.pi * np.hypot(x + 30, y + 9) * 25.4 / (0.46 * ppi)
    picture = Image.fromarray(np.uint8(127 + 100 * np.cos(phase)))
    try:
        made = matcher.embed([matcher.extract(saved(picture, "PNG"), ppi, "small")])
    except PrintError as error:
        text = str(error)
        assert "small" in text and len(text) < 500
        if "too small" in text:
            assert min(shape) < MIN_SIDE and f"at least {MIN_SIDE} px" in text
    else:
        assert len(made) == 1 and min(shape) >= MIN_SIDE


@pytest.mark.parametrize("ends", ["P5\n" + "#\n" * 200_000, "P5\n" + "1" * 200_000, "P6 9 "])
def test_a_header_without_end_is_refused_soon(tmp_path, ends):
    path = tmp_path / "a.pgm"
    path.write_bytes(ends.encode())
    for read in (read_image, check_image):
        with pytest.raises(PrintError, match=r"a\.pgm"):
            read(path)
