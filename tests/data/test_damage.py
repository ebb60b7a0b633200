"""Damaged images and those that are more work than they are worth: refused, by name, and soon."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from peak_memory import peak
from PIL import Image, TiffImagePlugin

from ifvit.data import images
from ifvit.data.damage import PrintError
from ifvit.data.images import check_image, decode, read_image

SHAPE = (90, 130)


def ridges(bits: int = 8) -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    values = 0.5 + 0.4 * np.cos(np.hypot(x - 40, y - 70) * 0.7)
    return np.round(values * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def saved(kind: str, bits: int = 8, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(ridges(bits)).save(buffer, format=kind, **options)
    return buffer.getvalue()


def test_no_damaged_png_is_read_as_another_picture(tmp_path):
    """A bit anywhere, bytes cut, or parts moved about: refused, or the very same picture."""
    draw = random.Random(0)
    for data in (saved("PNG"), saved("PNG", 16), saved("PNG", dpi=(500, 500))):
        expected = decode(io.BytesIO(data), "whole")
        same = 0
        for _ in range(700):
            damaged = bytearray(data)
            at = draw.randrange(len(data))
            if draw.random() < 0.8:
                damaged[at] ^= 1 << draw.randrange(8)
            elif draw.random() < 0.5:
                del damaged[at:]
            else:
                damaged[at:at] = draw.randbytes(5)
            try:
                found = decode(io.BytesIO(bytes(damaged)), "damaged.png")
            except PrintError as error:
                assert "damaged.png" in str(error) and len(str(error)) < 500
            else:
                same += 1
                np.testing.assert_array_equal(found, expected)
        assert same < 20


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG", "GIF", "PPM", "JPEG2000"])
@pytest.mark.heavy
def test_what_is_whole_is_read_from_files_pipes_and_memory(tmp_path, kind):
    data = saved(kind)
    path = tmp_path / "print"
    path.write_bytes(data)
    expected = read_image(path)
    check_image(path)
    np.testing.assert_array_equal(decode(io.BytesIO(data), "x"), expected)
    code = (
        "import sys; from ifvit.data.images import check_image, read_image\n"
        "check_image(sys.argv[1]); sys.stdout.buffer.write(read_image(sys.argv[1]).tobytes())"
    )
    for source in ("/dev/stdin", "/proc/self/fd/0"):
        command = f"cat {path} | {sys.executable} -c '{code}' {source}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60)
        assert done.stdout == expected.tobytes(), done.stderr


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_an_image_is_turned_as_its_tag_says_at_any_depth(bits, turn, kind):
    exif = Image.Exif()
    exif[274] = turn
    data = saved(kind, bits, exif=exif)
    found = decode(io.BytesIO(data), "x")
    plain = decode(io.BytesIO(saved(kind, 8)), "x")
    from PIL import ImageOps

    with Image.open(io.BytesIO(saved(kind, 8, exif=exif))) as image:
        expected = np.asarray(ImageOps.exif_transpose(image)).astype(np.float32) / 255
    assert found.shape == (plain.shape if turn < 5 else plain.shape[::-1])
    np.testing.assert_allclose(found, expected, atol=1 / 255)


def progressive(scans: int) -> bytes:
    """A JPEG whose last scan stands in it many times."""
    data = saved("JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    return data[:at] + data[at:-2] * scans + data[-2:]


def tiled(width: int, length: int) -> bytes:
    """A TIFF of one tile of that size, which is said to hold an image of 100×100."""
    entries = [(256, 4, 100), (257, 4, 100), (258, 3, 8), (259, 3, 32773), (262, 3, 1), (277, 3, 1)]
    entries += [(322, 4, width), (323, 4, length), (324, 4, 8), (325, 4, 4)]
    data = b"II*\x00" + struct.pack("<I", 12) + b"\x00" * 4 + struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        data += struct.pack("<HHII", tag, kind, 1, value)
    return data + struct.pack("<I", 0)


def many_parts() -> bytes:
    """A PNG with a quarter of a million empty parts, of 3 MB."""
    data, part = saved("PNG"), b"\x00\x00\x00\x00teSt"
    part += zlib.crc32(b"teSt").to_bytes(4)
    return data[:33] + part * 250_000 + data[33:]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (progressive(3000), "scans: expected at most"),
        (tiled(30_000, 40_000), "tiles of 30000×40000"),
        (tiled(1 << 30, 1 << 30), "tiles of"),
        (many_parts(), "more than 65536 parts"),
        (b"P2 4096 4096 255 " + b"1 " * 9000, "pixel by pixel"),
        (b"P5" + b"\n#" * 200_000, "does not tell its size"),
    ],
    ids=["scans", "tile", "giant tile", "parts", "text", "remarks"],
)
def test_what_is_far_too_much_work_is_refused_soon(data, reason):
    before, start = peak(anew=True), time.monotonic()
    with pytest.raises(PrintError, match=reason):
        decode(io.BytesIO(data), "bomb")
    assert time.monotonic() - start < 5
    assert peak() - before < 200_000  # kB


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG", "PPM"])
def test_a_file_of_more_than_any_image_is_refused_unread(tmp_path, monkeypatch, kind):
    """A picture with zeros behind it, of which the disk holds none."""
    path = tmp_path / "large"
    path.write_bytes(saved(kind))
    os.truncate(path, images.MOST_BYTES + 1)
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("Pillow opened it"))
    for read in (read_image, check_image):
        with pytest.raises(PrintError, match=r"large has 160 MB: expected a PNG"):
            read(path)


@pytest.mark.parametrize("seed", range(4))
def test_a_pipe_without_end_is_refused_where_a_file_would_be(tmp_path, monkeypatch, seed):
    draw, path = random.Random(seed), tmp_path / "pipe"
    most = draw.randrange(1 << 20, 3 << 20)
    monkeypatch.setattr(images, "MOST_BYTES", most)
    os.mkfifo(path)
    written = [0]

    def write() -> None:
        with path.open("wb", buffering=0) as pipe:
            try:
                while written[0] < 4 * most:
                    written[0] += pipe.write(saved("BMP"))
            except BrokenPipeError:
                pass

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(PrintError, match=r"pipe does not end within [12] MB: expected a PNG"):
        read_image(path)
    writer.join()
    assert written[0] < 2 * most


LARGEST = """
import io, resource, sys
import numpy as np
from PIL import Image
kind, mode, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
line = (np.arange(4096) * 7 % most).astype(np.uint16 if most > 256 else np.uint8)
picture = Image.fromarray(np.tile(line, (4096, 1)))
buffer = io.BytesIO()
picture = picture if mode == "I;16" else picture.convert(mode)
picture.save(buffer, format=kind)
open(sys.argv[4], "wb").write(buffer.getvalue())
"""

READ = """
import resource, sys
from ifvit.data.images import read_image
assert read_image(sys.argv[1]).shape == (4096, 4096)
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Of itself by VmHWM: getrusage begins with the size of the process that it came from."""


@pytest.mark.parametrize(
    ("kind", "mode", "most"),
    [
        *(("PNG", "RGBA", 256), ("TIFF", "I;16", 9000), ("TIFF", "CMYK", 256), ("PNG", "L", 40)),
        *(("WEBP", "L", 256), ("GIF", "L", 256), ("JPEG2000", "L", 256), ("PPM", "I;16", 65535)),
    ],
)
@pytest.mark.heavy
def test_the_largest_images_take_half_a_gigabyte_at_most(tmp_path, kind, mode, most):
    path = str(tmp_path / "largest")
    for code, *arguments in ((LARGEST, kind, mode, str(most), path), (READ, path)):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, check=True, timeout=100)
    assert max(map(int, done.stdout.split())) < 500_000  # kB


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"%!PS-Adobe-3.0", "PostScript"),
        (b"FMR\x00 20\x00", "template of minutiae"),
        (b"II\x2b\x00\x08", "BigTIFF"),
        (b"\x00\x00\x00\x18ftypheic", "HEIF"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04", "archive"),
    ],
)
def test_another_format_is_called_by_its_name(tmp_path, start, name):
    path = Path(tmp_path / "print.png")
    path.write_bytes(start + bytes(100))
    for read in (read_image, check_image):
        with pytest.raises(PrintError, match=rf"print\.png is not an image .*{name}.*convert it"):
            read(path)


@pytest.mark.parametrize("kind", ["TIFF", "BMP", "JPEG", "PNG", "PPM", "GIF", "WEBP"])
def test_every_damaged_image_is_read_or_refused_by_name(kind):
    draw, data = random.Random(1), saved(kind)
    for _ in range(400):
        damaged = bytearray(data)
        for _ in range(draw.choice([1, 3, 30])):
            damaged[draw.randrange(min(len(data), draw.choice([60, len(data)])))] = draw.randrange(
                256
            )
        try:
            found = decode(io.BytesIO(bytes(damaged)), "damaged")
        except PrintError as error:
            assert "damaged" in str(error) and len(str(error)) < 500
        else:
            assert found.dtype == np.float32 and 0 <= found.min() <= found.max() <= 1


def listing(count: int) -> bytes:
    """A TIFF that lists so many pages, each of the same 100×100 px: some hundred bytes a page."""
    pixels = np.resize(ridges(), (100, 100))
    tags = {256: 100, 257: 100, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 100, 279: 10_000}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    first, size = 8 + pixels.nbytes, 6 + len(entries)
    after = [first + size * number for number in range(1, count)] + [0]
    listed = [struct.pack("<H", len(tags)) + entries + struct.pack("<I", at) for at in after]
    return b"II*\x00" + struct.pack("<I", first) + pixels.tobytes() + b"".join(listed)


@pytest.mark.parametrize("count", [9, 300, 20_000, 200_000])
def test_the_pages_of_a_file_are_never_counted(monkeypatch, caplog, count):
    """A megabyte lists ten thousand of them, and to count them takes seconds."""
    seen, seek = set[int](), TiffImagePlugin.TiffImageFile.seek

    def noted(image, page):
        seen.add(page)
        return seek(image, page)

    counted = property(lambda _: pytest.fail("the pages were counted"))
    monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "n_frames", counted)
    monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "seek", noted)
    start = time.monotonic()
    found = decode(io.BytesIO(listing(count)), "scan.tif")
    assert time.monotonic() - start < 5 and len(seen) < 9
    np.testing.assert_allclose(found, np.resize(ridges(), (100, 100)) / 255, atol=1e-6)
    assert "scan.tif has 8 pages: page 1 alone is read" in caplog.text


@pytest.mark.parametrize("thumbnails", range(4))
def test_a_thumbnail_is_no_print(thumbnails):
    """Smaller copies before the image itself, as some scanners write them."""
    buffer = io.BytesIO()
    small = Image.fromarray(ridges()).resize((70, 66))
    pages = [*[small] * thumbnails, Image.fromarray(ridges()), small]
    infos = [{254: 1}] * thumbnails + [{254: 0}, {254: 1}]
    with TiffImagePlugin.AppendingTiffWriter(buffer) as file:
        for page, info in zip(pages, infos, strict=True):
            page.save(file, format="TIFF", tiffinfo=info)
            file.newFrame()
    found = decode(io.BytesIO(buffer.getvalue()), "scan.tif")
    np.testing.assert_allclose(found, ridges() / 255, atol=1e-6)
