"""WSQ, JPEG 2000: what a damaged file does to the decoder ends that process alone."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from damaged_files import damaged
from PIL import Image

from ifvit.data import apart
from ifvit.data.damage import PrintError
from ifvit.data.given import grey_values
from ifvit.data.images import decode, read_image

pytest.importorskip("wsq")


def saved(values: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def ridges() -> np.ndarray:
    y, x = np.mgrid[:80, :96]
    return (127 + 100 * np.cos(np.hypot(x - 40, y - 50) * 0.7)).astype(np.uint8)


@pytest.mark.parametrize("kind", apart.APART)
def test_a_file_is_decoded_as_by_its_decoder_here(ridges, kind):
    data = saved(ridges, kind)
    with Image.open(io.BytesIO(data), formats=(kind,)) as image:
        expected = np.asarray(image, np.float32) / 255
    found = decode(io.BytesIO(data), "a")
    assert found.shape == ridges.shape
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", apart.APART)
@pytest.mark.heavy
def test_damaged_files_are_refused_by_name(ridges, kind):
    """Some of these end the decoder; that this test ends is what it shows."""
    data, draw, told = saved(ridges, kind), random.Random(1), []
    for _ in range(30):
        try:
            decode(io.BytesIO(damaged(data, draw)), "a.file")
        except PrintError as error:
            told.append(str(error))
    assert len(told) >= 10
    assert all(text.startswith("a.file") and "\n" not in text for text in told)


@pytest.mark.parametrize(
    "code, reason",
    [
        ("import os; os.kill(os.getpid(), 11)", "its decoder ended by SIGSEGV"),
        ("raise OSError('no table')", "OSError: no table"),
        ("raise SystemExit(3)", "ended with code 3"),
        ("import time; time.sleep(9)", "no end within 0.3 s"),
        ("print('short')", "another size"),
    ],
)
def test_whatever_becomes_of_the_decoder_is_told(monkeypatch, code, reason):
    monkeypatch.setattr(apart, "DECODE", code)
    monkeypatch.setattr(apart, "SECONDS", 0.3 if "sleep" in code else 20)
    with pytest.raises(PrintError, match=reason):
        apart.decoded(b"", "WSQ", (96, 80), "a.wsq")


@pytest.mark.parametrize("kind", apart.APART)
@pytest.mark.parametrize("code", ["os.kill(os.getpid(), 11)", "os.abort()", "os._exit(3)"])
def test_no_file_of_these_formats_is_decoded_here(ridges, tmp_path, monkeypatch, kind, code):
    """Nothing of it reaches a decoder in this process, from wherever it comes."""
    data, path = saved(ridges, kind), tmp_path / "a.file"
    path.write_bytes(data)
    monkeypatch.setattr(apart, "DECODE", f"import os; {code}")
    for read in (
        lambda: decode(io.BytesIO(data), "a.file"),
        lambda: read_image(path),
        lambda: grey_values(data, "a.file"),
    ):
        with pytest.raises(PrintError, match=r"a\.file cannot be decoded \(its decoder ended"):
            read()


@pytest.mark.parametrize("seed", range(8))
def test_pixels_of_another_number_are_no_picture(monkeypatch, seed):
    draw = random.Random(seed)
    mode, each = draw.choice(list(apart.SAMPLES.items()))
    count = 96 * 80 * each + draw.choice([-96 * 80 * each, -each, -1, 1, each, 9999])
    code = f"import sys; sys.stdout.buffer.write(b'{mode}\\n' + bytes({count}))"
    monkeypatch.setattr(apart, "DECODE", code)
    with pytest.raises(PrintError, match="another size"):
        apart.decoded(b"", "WSQ", (96, 80), "a.wsq")


@pytest.mark.parametrize("kind", apart.APART)
def test_a_decoder_that_wants_all_the_memory_gets_none(ridges, monkeypatch, kind):
    wanted = apart.DECODE.replace(
        "kind = sys.argv[1]", "kind = sys.argv[1]; x = bytearray(1 << 31)"
    )
    assert wanted != apart.DECODE
    monkeypatch.setattr(apart, "DECODE", wanted)
    with pytest.raises(PrintError, match=r"cannot be decoded \(MemoryError"):
        decode(io.BytesIO(saved(ridges, kind)), "a.file")
