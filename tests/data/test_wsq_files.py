"""WSQ: what a damaged file does to the decoder ends that process alone."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from damaged_files import damaged
from PIL import Image

from ifvit.data import wsq_files
from ifvit.data.damage import PrintError
from ifvit.data.images import decode

pytest.importorskip("wsq")


def wsq_of(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "WSQ")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def ridges() -> np.ndarray:
    y, x = np.mgrid[:80, :96]
    return (127 + 100 * np.cos(np.hypot(x - 40, y - 50) * 0.7)).astype(np.uint8)


def test_a_file_is_decoded_as_by_its_decoder_here(ridges):
    data = wsq_of(ridges)
    with Image.open(io.BytesIO(data), formats=("WSQ",)) as image:
        expected = np.asarray(image, np.float32) / 255
    found = decode(io.BytesIO(data), "a.wsq")
    assert found.shape == ridges.shape
    np.testing.assert_array_equal(found, expected)


def test_damaged_files_are_refused_by_name(ridges):
    """Some of these end the decoder; that this test ends is what it shows."""
    data, draw, told = wsq_of(ridges), random.Random(1), []
    for _ in range(30):
        try:
            decode(io.BytesIO(damaged(data, draw)), "a.wsq")
        except PrintError as error:
            told.append(str(error))
    assert len(told) >= 10
    assert all(text.startswith("a.wsq") and "\n" not in text for text in told)


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
    monkeypatch.setattr(wsq_files, "DECODE", code)
    monkeypatch.setattr(wsq_files, "SECONDS", 0.3 if "sleep" in code else 20)
    with pytest.raises(PrintError, match=reason):
        wsq_files.decoded(b"", (96, 80), "a.wsq")
