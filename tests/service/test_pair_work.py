"""The size of a print is known from its header, before a pixel of it is decoded."""

from __future__ import annotations

import io
import struct
import time
import zlib

import numpy as np
import pytest
from fake_service import print_file
from PIL import Image

from ifvit.service.limits import Limits


def claiming(width: int, height: int) -> bytes:
    """Return a PNG whose header says so, and that holds next to nothing."""

    def part(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", body) + part(b"IEND", b"")


def asked(client, data: bytes, ppi: float = 500):
    files = [("print", ("a.png", data, "image/png"))]
    return client.post("/api/quality", files=files, data={"print_ppi": str(ppi)})


@pytest.mark.parametrize("side", [4096, 50_000, 2**31 - 1])
def test_a_picture_that_says_it_is_large_is_refused_undecoded(client_of, monkeypatch, side):
    from ifvit.data import images

    monkeypatch.setattr(images, "_grey", lambda _: pytest.fail("it was decoded"))
    start = time.monotonic()
    answer = asked(client_of(), claiming(side, side))
    assert answer.status_code in (413, 422)
    assert "too large" in answer.json()["error"]["message"]
    assert time.monotonic() - start < 2


def test_what_a_print_grows_to_at_500_ppi_counts(client_of):
    made = io.BytesIO()
    Image.fromarray(np.zeros((800, 800), np.uint8)).save(made, "PNG")
    client = client_of(limits=Limits(threads=1, waiting=1, pixels=1_000_000))
    answer = asked(client, made.getvalue(), 250)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert "800×800 px at 250 ppi" in answer.json()["error"]["message"]
    assert asked(client, made.getvalue()).json()["error"]["code"] == "unusable_print"


def test_an_enrolment_is_held_to_the_same_size(client_of):
    client = client_of(gallery=True)
    files = [("print", ("a.png", claiming(4000, 4000), "image/png"))]
    assert client.post("/api/enroll", files=files).status_code == 413
    assert client.get("/api/subjects").json()["total"] == 0


def test_more_prints_than_a_request_may_have_are_refused(client_of):
    client = client_of(limits=Limits(threads=1, waiting=1, prints=2))
    files = [("print", print_file(1))] * 3
    assert client.post("/api/quality", files=files[:2]).status_code == 200
    answer = client.post("/api/quality", files=files)
    assert answer.status_code in (400, 413)
    body = {"print": [{"image": ""}] * 3}
    assert client.post("/api/quality", json=body).status_code == 413
