from __future__ import annotations

import importlib
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ifvit.data.images import read_image
from ifvit.data.prints import centred, load_canvas, read_print, resample, ridge_area, ridge_middle


def stripes(height: int = 96, width: int = 80, period: float = 9.0) -> np.ndarray:
    """Ridges as a sine along x, 0..1, filling the image."""
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * np.arange(width) / period)
    return np.tile(wave, (height, 1)).astype(np.float32)


def finger(side: int = 256, centre: tuple[int, int] = (128, 128), radius: int = 70) -> np.ndarray:
    """A disc of ridges on white; centre is (x, y)."""
    y, x = np.mgrid[:side, :side]
    disc = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2
    return np.where(disc, stripes(side, side), 1).astype(np.float32)


def as_bytes(image: np.ndarray) -> np.ndarray:
    return np.round(image * 255).astype(np.uint8)


def png_header(width: int, height: int) -> bytes:
    """A PNG whose header promises a size that its data do not have."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def refusal(path: Path, kind: type[Exception] = ValueError) -> str:
    """The error that a file ends in, of exactly this kind or a subclass, on one line."""
    with pytest.raises(kind) as caught:
        read_print(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("suffix", ["png", "tif", "tiff", "bmp"])
def test_lossless_formats_give_the_same_grey_values(tmp_path, suffix):
    image = as_bytes(stripes())
    path = tmp_path / f"print.{suffix}"
    Image.fromarray(image).save(path)
    read = read_image(path)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, image / 255, atol=1e-6)


def test_jpeg_is_close(tmp_path):
    Image.fromarray(as_bytes(stripes())).save(tmp_path / "print.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "print.jpg") - stripes()).mean() < 0.02


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_keeps_its_full_range(tmp_path, suffix):
    values = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f"deep.{suffix}")
    read = read_image(tmp_path / f"deep.{suffix}")
    np.testing.assert_allclose(read, values / 65535, atol=1e-6)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_tiff_whose_white_is_zero(tmp_path, depth):
    values = np.zeros((64, 64), depth)
    values[:, :32] = np.iinfo(depth).max  # ink
    path = tmp_path / "inverted.tif"
    Image.fromarray(values).save(path)
    black_is_zero, white_is_zero = (struct.pack("<HHIH", 262, 3, 1, value) for value in (1, 0))
    content = path.read_bytes()
    assert content.count(black_is_zero) == 1
    path.write_bytes(content.replace(black_is_zero, white_is_zero))
    read = read_image(path)
    assert read[0, 0] == 0 and read[0, 63] == 1


def test_colour_becomes_luma(tmp_path):
    Image.new("RGB", (64, 64), (255, 0, 0)).save(tmp_path / "red.png")
    assert read_image(tmp_path / "red.png")[0, 0] == pytest.approx(0.299, abs=0.003)


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "LA", "RGBA"])
def test_every_pixel_mode_reads_black_on_white(tmp_path, mode):
    image = Image.new("L", (64, 64), 255)
    image.paste(0, (0, 0, 32, 64))
    path = tmp_path / ("print.tif" if mode == "CMYK" else "print.png")
    image.convert("RGB" if mode == "CMYK" else "L").convert(mode).save(path)
    read = read_image(path)
    assert read[10, 10] == 0 and read[10, 50] == 1


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_transparent_pixels_are_white(tmp_path, mode):
    path = tmp_path / "transparent.png"
    if mode == "P":
        image = Image.new("P", (64, 64), 0)
        image.putpalette([0, 0, 0, 9, 9, 9])
        image.save(path, transparency=bytes([0, 255]))
    else:
        Image.new(mode, (64, 64), 0).save(path)
    assert read_image(path).min() == 1


@pytest.fixture
def wsq_file(tmp_path) -> Path:
    importlib.import_module("wsq")
    Image.fromarray(as_bytes(finger())).save(tmp_path / "print.wsq")
    return tmp_path / "print.wsq"


def test_wsq_is_close(wsq_file):
    """At the FBI's usual rate of 0.75 bit a pixel, ridges stay and their edges suffer."""
    read = read_image(wsq_file)
    assert read.shape == (256, 256)
    assert np.corrcoef(read.ravel(), finger().ravel())[0, 1] > 0.98


def test_wsq_is_known_by_its_bytes_not_by_its_name(wsq_file):
    renamed = wsq_file.rename(wsq_file.with_suffix(".dat"))
    assert read_image(renamed).shape == (256, 256)


def test_wsq_without_its_decoder(wsq_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "wsq", None)  # which makes its import an ImportError
    assert "pip install 'ifvit[wsq]'" in refusal(wsq_file)


def test_truncated_wsq(wsq_file):
    wsq_file.write_bytes(wsq_file.read_bytes()[:900])
    refusal(wsq_file)


def test_missing_file(tmp_path):
    assert "no such image" in refusal(tmp_path / "none.png", FileNotFoundError)


def test_folder(tmp_path):
    assert "is a folder" in refusal(tmp_path)


def test_empty_file(tmp_path):
    (tmp_path / "empty.png").touch()
    assert "0 bytes" in refusal(tmp_path / "empty.png")


def test_text_named_png(tmp_path):
    (tmp_path / "text.png").write_text("not an image\n" * 100)
    assert "expected a PNG, TIFF, BMP, JPEG, JPEG 2000, PGM" in refusal(tmp_path / "text.png")


def test_other_image_format(tmp_path):
    Image.fromarray(as_bytes(stripes())).save(tmp_path / "print.tga")
    assert "expected a PNG, TIFF, BMP, JPEG, JPEG 2000, PGM" in refusal(tmp_path / "print.tga")


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "jpg"])
def test_truncated_file(tmp_path, suffix):
    path = tmp_path / f"print.{suffix}"
    Image.fromarray(as_bytes(stripes(200, 200))).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refusal(path)


def test_damaged_bytes_never_end_in_another_error(tmp_path):
    """Whatever bytes are hit, the outcome is an image or one line."""
    rng = np.random.default_rng(0)
    for suffix in ("png", "tif", "bmp", "jpg"):
        path = tmp_path / f"print.{suffix}"
        Image.fromarray(as_bytes(finger(96, (48, 48), 40))).save(path)
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(40):
            damaged = whole.copy()
            hit = rng.integers(0, min(len(whole), 400), size=6)
            damaged[hit] = rng.integers(0, 256, size=6)
            path.write_bytes(damaged.tobytes())
            try:
                read_print(path)
            except ValueError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize("size", [(20000, 20000), (12000, 9000), (4097, 64), (64, 4097)])
def test_too_large_is_refused_from_the_header(tmp_path, size):
    """The file holds 100 bytes of data: it could not be decoded, and nobody tries to."""
    (tmp_path / "large.png").write_bytes(png_header(*size))
    assert "too large" in refusal(tmp_path / "large.png")


@pytest.mark.parametrize("size", [(1, 1), (23, 200), (200, 23)])
def test_too_small(tmp_path, size):
    Image.new("L", size).save(tmp_path / "small.png")
    assert "at least 24 px" in refusal(tmp_path / "small.png")


def test_pixels_without_a_known_white(tmp_path):
    Image.fromarray(stripes()).save(tmp_path / "float.tif")
    assert "32-bit" in refusal(tmp_path / "float.tif")


@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_image_shows_no_fingerprint(tmp_path, value):
    Image.new("L", (200, 300), value).save(tmp_path / "flat.png")
    assert refusal(tmp_path / "flat.png").startswith(f"no fingerprint found in {tmp_path}")


def test_faint_noise_and_uneven_light_show_no_fingerprint(tmp_path):
    noise = np.random.default_rng(0).normal(scale=0.02, size=(300, 300))
    light = np.linspace(0.6, 0.9, 300) + noise
    Image.fromarray(as_bytes(light)).save(tmp_path / "light.png")
    assert "no fingerprint found" in refusal(tmp_path / "light.png")


@pytest.mark.parametrize(("ppi", "to_ppi"), [(500, 250), (250, 500), (569, 250), (512, 500)])
def test_resample_keeps_every_point_in_its_place(ppi, to_ppi):
    """A bright spot at (x, y) lands at ((x + 0.5)·s - 0.5, …)."""
    x, y = 150.0, 70.0
    grid_y, grid_x = np.mgrid[:200, :240]
    spot = np.exp(-((grid_x - x) ** 2 + (grid_y - y) ** 2) / (2 * 6.0**2)).astype(np.float32)
    small = resample(spot, ppi, to_ppi)
    scale = to_ppi / ppi
    assert small.shape == (round(200 * scale), round(240 * scale))
    ys, xs = np.mgrid[: small.shape[0], : small.shape[1]]
    assert (small * xs).sum() / small.sum() == pytest.approx((x + 0.5) * scale - 0.5, abs=0.3)
    assert (small * ys).sum() / small.sum() == pytest.approx((y + 0.5) * scale - 0.5, abs=0.3)


@pytest.mark.parametrize("period", [6, 9])
@pytest.mark.parametrize("ppi", [505, 512, 569, 700])
def test_resample_keeps_ridges_as_clear_everywhere(ppi, period):
    """Means over areas weaken a wave by 3 to 12 % at a ratio near 1, here more and there less."""
    x = (np.arange(round(600 * ppi / 500)) + 0.5) * 500 / ppi - 0.5
    wave = np.tile(0.5 + 0.4 * np.sin(2 * np.pi * x / period), (60, 1)).astype(np.float32)
    line = resample(wave, ppi, 500)[30]
    windows = np.lib.stride_tricks.sliding_window_view(line[20:-20], 4 * period)
    turning = np.exp(2j * np.pi * np.arange(4 * period) / period)
    strength = np.abs(windows @ turning) / (2 * period) / 0.4
    assert strength.min() > 0.93 and np.ptp(strength) < 0.01


def test_resample_stays_in_range_and_refuses_nonsense():
    sharp = (stripes() > 0.5).astype(np.float32)
    large = resample(sharp, 250, 500)
    assert large.dtype == np.float32 and large.min() >= 0 and large.max() <= 1
    with pytest.raises(ValueError, match="cannot be right"):
        resample(sharp, 0, 250)


def test_ridge_area_finds_the_finger_and_not_the_dirt():
    image = finger(256, (150, 120), 70)
    image[5:30, 5:30] = stripes(25, 25)
    mask = ridge_area(image, 500)
    y, x = np.nonzero(mask)
    assert not mask[:40, :40].any()
    assert np.pi * 70**2 * 0.95 < mask.sum() < np.pi * 80**2  # half a window of 16 px too wide
    assert x.mean() == pytest.approx(150, abs=2) and y.mean() == pytest.approx(120, abs=2)


@pytest.mark.parametrize("side", [64, 127, 400])
def test_centred_puts_the_finger_in_the_middle(side):
    image = finger(256, (170, 90), 50)
    canvas, (x0, y0) = centred(image, side, ppi=500)
    assert canvas.shape == (side, side)
    middle = (side - 1) / 2
    assert 170 - x0 == pytest.approx(middle, abs=2) and 90 - y0 == pytest.approx(middle, abs=2)
    for y in range(0, side, 7):
        for x in range(0, side, 7):
            inside = 0 <= x + x0 < 256 and 0 <= y + y0 < 256
            assert canvas[y, x] == (image[y + y0, x + x0] if inside else 1)


def test_centred_follows_a_given_mask_exactly():
    mask = np.zeros((100, 120), bool)
    mask[20:31, 60:71] = True  # centre (65, 25)
    _, offset = centred(stripes(100, 120), 65, ridge_middle(mask))
    assert offset == (65 - 32, 25 - 32)


def test_centred_without_a_finger_takes_the_middle_of_the_image():
    _, offset = centred(np.ones((101, 201), np.float32), 51)
    assert offset == (100 - 25, 50 - 25)


def test_centred_pads_with_the_grey_of_the_border():
    image = finger(200, (100, 100), 60) * 0.5  # a background of 0.5
    canvas, _ = centred(image, 300, ppi=500)
    assert canvas[0, 0] == pytest.approx(0.5)


def test_load_canvas_is_reading_resampling_and_centring(tmp_path):
    path = tmp_path / "1_1.png"
    Image.fromarray(as_bytes(finger(300, (200, 110), 80))).save(path)
    canvas = load_canvas(path, None, 250, 128)
    assert canvas.shape == (128, 128) and canvas.dtype == np.float32
    y, x = np.nonzero(ridge_area(canvas, 250))
    assert x.mean() == pytest.approx(63.5, abs=1) and y.mean() == pytest.approx(63.5, abs=1)
    np.testing.assert_array_equal(load_canvas(path, 500, 250, 128), canvas)
    assert ridge_area(load_canvas(path, 1000, 250, 128), 250).sum() < 0.4 * len(y)


def test_every_real_print_is_read(ifvit_data):
    for path in sorted(ifvit_data.glob("fvc*/*_1.tif")):
        assert ridge_area(load_canvas(path), 250).mean() > 0.2
