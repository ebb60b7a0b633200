"""What stands beside a picture: more of it than a print has is refused before it is unpacked."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ifvit.data.damage import PrintError
from ifvit.data.headers import check_start
from ifvit.data.images import decode
from ifvit.data.tags import tagged_ppi

MANY = 3_000_000
"""Values of a tag, pieces of a header: some megabytes, which become a hundred and more."""

PICTURE = Image.fromarray((127 + 100 * np.cos(np.mgrid[:80, :96].sum(0) * 0.7)).astype(np.uint8))


def saved(kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    PICTURE.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(order: str = "<") -> bytes:
    """Orientation, of which one value is meant, with a list of them."""
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(f"{order}IH", 8, 1)
    return head + struct.pack(f"{order}HHII", 274, 3, MANY, 26) + bytes(4) + b"\x06\x00" * MANY


def tiff(tag: int, kind: int, order: str = "<") -> bytes:
    """A TIFF whose tag has millions of values."""
    mark = b"II*\x00" if order == "<" else b"MM\x00*"
    pixels, values = bytes(100 * 100), b"\x01\x00" * MANY
    tags = {256: 100, 257: 100, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 100, 279: 10_000}
    entries = {t: struct.pack(f"{order}HHII", t, 4, 1, value) for t, value in tags.items()}
    count = len(values) // {1: 1, 2: 1, 3: 2, 4: 4, 7: 1}[kind]
    entries[tag] = struct.pack(f"{order}HHII", tag, kind, count, 8 + len(pixels))
    head = mark + struct.pack(f"{order}I", 8 + len(pixels) + len(values)) + pixels + values
    listed = b"".join(entries[t] for t in sorted(entries))
    return head + struct.pack(f"{order}H", len(entries)) + listed + bytes(4)


def png(name: bytes, data: bytes) -> bytes:
    whole = saved("PNG")
    part = len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)
    return whole[:33] + part + whole[33:]


def jpeg(between: bytes) -> bytes:
    whole = saved("JPEG")
    return whole[:2] + between + whole[2:]


def segments(data: bytes) -> bytes:
    parts = [data[at : at + 65_000] for at in range(0, len(data), 65_000)]
    return b"".join(b"\xff\xe1" + (len(p) + 8).to_bytes(2) + b"Exif\x00\x00" + p for p in parts)


def gif(between: bytes) -> bytes:
    whole = saved("GIF")
    palette = 13 + 3 * (2 << (whole[10] & 7))
    return whole[:palette] + between + whole[palette:]


def webp(name: bytes, data: bytes, times: int = 1) -> bytes:
    whole = saved("WEBP", exif=b"Exif\x00\x00II*\x00\x08" + bytes(9))
    at = whole.find(b"EXIF")
    added = (name + len(data).to_bytes(4, "little") + data) * times
    return b"RIFF" + (at - 8 + len(added)).to_bytes(4, "little") + whole[8:at] + added


def jp2(between: bytes) -> bytes:
    whole = saved("JPEG2000", no_jp2=False)
    return whole[:12] + between + whole[12:]


def odd_tiff(mark: bytes) -> bytes:
    """A TIFF whose mark has the number of the other byte order, which Pillow takes too."""
    return mark + tiff(700, 4, "<" if mark[:2] == b"II" else ">")[4:]


def big_tiff(tag: int, order: str) -> bytes:
    """A BigTIFF, of wider numbers, whose tag has millions of values."""
    mark = b"II\x2b\x00" if order == "<" else b"MM\x00\x2b"
    pixels, values = bytes(100 * 100), b"\x01\x00" * MANY
    tags = {256: 100, 257: 100, 258: 8, 259: 1, 262: 1, 273: 16, 277: 1, 278: 100, 279: 10_000}
    entries = {t: struct.pack(f"{order}HHQQ", t, 16, 1, value) for t, value in tags.items()}
    entries[tag] = struct.pack(f"{order}HHQQ", tag, 3, MANY, 16 + len(pixels))
    head = mark + struct.pack(f"{order}HHQ", 8, 0, 16 + len(pixels) + len(values))
    listed = b"".join(entries[t] for t in sorted(entries))
    return head + pixels + values + struct.pack(f"{order}Q", len(entries)) + listed + bytes(8)


def together(count: int) -> bytes:
    """A PNG of parts of different names, none of which has too much by itself."""
    whole, data = saved("PNG"), bytes(40 * MANY // (3 * count))
    names = [b"ab%cd" % letter for letter in b"ABCDEFGHIJ"[:count]]
    parts = (
        len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4) for name in names
    )
    return whole[:33] + b"".join(parts) + whole[33:]


def gif_picture(count: int) -> bytes:
    """A GIF whose picture comes in so many blocks, of a byte each."""
    descriptor = b"," + struct.pack("<HHHHB", 0, 0, 96, 80, 0) + b"\x08"
    return gif(descriptor + b"\x01\x00" * count + b"\x00")


def jp2_header(between: bytes) -> bytes:
    """A JPEG 2000 file with more boxes within its header."""
    whole = saved("JPEG2000", no_jp2=False)
    at = whole.index(b"jp2h") - 4
    end = at + int.from_bytes(whole[at : at + 4])
    size = (end - at + len(between)).to_bytes(4)
    return whole[:at] + size + whole[at + 4 : end] + between + whole[end:]


BOMBS = {
    **{
        f"TIFF, tag {tag} of type {kind}, {order}": (lambda t=tag, k=kind, o=order: tiff(t, k, o))
        for tag in (254, 258, 262, 273, 274, 279, 322, 339, 700, 34665, 34675, 40000)
        for kind, order in ((3, "<"), (4, ">"))
    },
    "EXIF of PNG": lambda: png(b"eXIf", exif()),
    "EXIF of PNG, big-endian": lambda: png(b"eXIf", exif(">")),
    "text of PNG": lambda: png(b"tEXt", b"a\x00" + b"x" * MANY),
    "EXIF of WebP": lambda: webp(b"EXIF", exif()),
    "chunks of WebP": lambda: webp(b"abcd", b"", MANY // 10),
    "EXIF of JPEG": lambda: jpeg(segments(exif())),
    "segments of JPEG": lambda: jpeg(b"\xff\xe5\x00\x02" * (MANY // 10)),
    "filling of JPEG": lambda: jpeg(b"\xff" * MANY),
    "nothing in JPEG": lambda: jpeg(bytes(MANY)),
    "remarks of GIF": lambda: gif(b"\x21\xfe" + (b"\xff" + b"x" * 255) * 90_000 + b"\x00"),
    "blocks of GIF": lambda: gif(b"\x21\xfe\x01x\x00" * (MANY // 10)),
    "filling of GIF": lambda: gif(b"\x01" * MANY),
    "boxes of JPEG 2000": lambda: jp2(b"\x00\x00\x00\x08free" * (MANY // 10)),
    "boxes in the header of JPEG 2000": lambda: jp2_header(b"\x00\x00\x00\x08free" * (MANY // 60)),
    "blocks of a GIF's picture": lambda: gif_picture((1 << 20) + 1000),
    **{f"{n} parts of PNG together": (lambda n=n: together(n)) for n in (2, 5, 10)},
    **{
        f"BigTIFF, tag {tag}, {order}": (lambda t=tag, o=order: big_tiff(t, o))
        for tag in (254, 700, 40000)
        for order in "<>"
    },
    **{
        f"TIFF, marked {mark.hex()}": (lambda m=mark: odd_tiff(m))
        for mark in (b"II\x00\x2a", b"MM\x2a\x00")
    },
}
"""Files of some megabytes, each of which took seconds to minutes, or a hundred megabytes."""


@pytest.mark.parametrize("made", BOMBS.values(), ids=BOMBS)
def test_what_is_beside_a_picture_is_weighed_first(made, monkeypatch):
    """Before Pillow sees any of it, and in the words of one line."""
    data = made()
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("Pillow opened it"))
    with pytest.raises(PrintError, match=r"bomb (holds more than its picture|has more than)") as e:
        decode(io.BytesIO(data), "bomb")
    assert len(str(e.value)) < 500


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "JPEG2000", "TIFF", "BMP", "PPM"])
def test_what_is_usual_is_left_alone(kind):
    """With a profile and tags of some hundred kilobytes."""
    more = {"icc_profile": bytes(400_000)} if kind in ("PNG", "JPEG", "WEBP", "TIFF") else {}
    data = b"before" + saved(kind, **more)
    file = io.BytesIO(data)
    file.seek(6)
    check_start(file, "x")
    assert file.tell() == 6
    check_start(io.BytesIO(data[6 : len(data) // 2]), "cut short")
    decode(io.BytesIO(data[6:]), "x")


def test_the_tag_of_a_bomb_is_not_looked_for(tmp_path, monkeypatch):
    """A data set's tags are read before its prints."""
    (tmp_path / "1_1.tif").write_bytes(tiff(254, 3))
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("Pillow opened it"))
    assert tagged_ppi(tmp_path / "1_1.tif") is None


READ = """
import sys
from ifvit.data.images import read_image
assert read_image(sys.argv[1]).shape == (4096, 4096)
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
@pytest.mark.heavy
def test_the_largest_transparent_pictures_take_half_a_gigabyte(tmp_path: Path, kind):
    """Of noise, which no format makes smaller."""
    values = np.random.default_rng(0).integers(0, 255, (4096, 4096, 4), dtype=np.uint8)
    lossless = {"lossless": True, "method": 0, "quality": 0}
    how = lossless if kind == "WEBP" else {"compress_level": 0}
    Image.fromarray(values).save(tmp_path / "x", kind, **how)
    command = [sys.executable, "-c", READ, str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, check=True, timeout=100)
    assert int(done.stdout) < 500_000  # kB


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_a_picture_that_moves_is_read_with_a_word(kind, caplog):
    still = saved(kind)
    decode(io.BytesIO(still), "still")
    assert not caplog.records
    moving = saved(kind, save_all=True, append_images=[PICTURE.rotate(90), PICTURE.rotate(9)])
    decode(io.BytesIO(moving), "moving")
    assert "moving has " in caplog.text and "pages: page 1 alone is read" in caplog.text
