"""Damaged pictures sent to a service: each is answered, none by a fault of the server."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import time
from collections import Counter

import numpy as np
import pytest
from damaged_files import damaged
from fake_matcher import print_array
from fake_service import print_file
from PIL import Image

from ifvit.data.examples import example_prints
from ifvit.matcher import Matcher
from ifvit.service.faults import ServiceError
from ifvit.service.limits import Limits

FORMATS = ("PNG", "TIFF", "BMP", "JPEG", "WSQ")

SLOWEST = 20


def saved(values: np.ndarray, kind: str) -> bytes:
    if kind == "WSQ":
        pytest.importorskip("wsq")
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind)
    return buffer.getvalue()


def sent(client, values: np.ndarray, count: int, path: str, other: str | None) -> Counter[int]:
    """Send a print damaged in so many ways; return how often each status came back."""
    whole = {kind: saved(values, kind) for kind in FORMATS}
    draw, statuses = random.Random(0), Counter[int]()
    for number in range(count):
        data = damaged(whole[FORMATS[number % len(FORMATS)]], draw)
        name = "print" if other is None else "probe"
        files = [(name, (f"{number}.png", data, "image/png"))]
        if other is not None:
            files.append((other, print_file(1)))
        start = time.monotonic()
        answer = client.post(path, files=files)
        assert time.monotonic() - start < SLOWEST, f"{number} hangs"
        assert answer.status_code < 500, f"{number}: {answer.text}"
        if answer.status_code != 200:
            assert set(answer.json()["error"]) == {"code", "message", "what_to_do"}
        statuses[answer.status_code] += 1
    return statuses


@pytest.mark.heavy
def test_damaged_pictures_are_answered(client_of):
    statuses = sent(client_of(), print_array(1), 200, "/api/match", "candidate")
    assert set(statuses) <= {200, 413, 422}
    assert min(statuses[200], statuses[422]) >= 20, statuses


def test_damaged_requests_are_answered(client_of):
    """The form itself, and JSON: boundaries, headers and brackets."""
    client, draw, statuses = client_of(gallery=True), random.Random(0), Counter[int]()
    form = client.build_request(
        "POST", "/api/enroll", files={"print": print_file(1)}, data={"subject": "ann"}
    )
    image = base64.b64encode(print_file(1)[1][:300]).decode()
    values = {"print": [{"image": image, "ppi": 500.0, "name": "a"}], "metadata": {"a": "b"}}
    bodies = (
        (form.read(), form.headers["Content-Type"]),
        (json.dumps(values).encode(), "application/json"),
    )
    for number in range(200):
        body, kind = bodies[number % 2]
        headers = {"Content-Type": kind}
        answer = client.post("/api/enroll", content=damaged(body, draw), headers=headers)
        assert answer.status_code < 500, f"{number}: {answer.text}"
        statuses[answer.status_code] += 1
    assert min(statuses[200], statuses[400], statuses[422]) >= 10, statuses


@pytest.mark.slow
def test_damaged_pictures_are_answered_by_the_weights_that_ship(client_of):
    """Each is read, measured and embedded: the networks see what is left of it."""
    count = 2000 if os.environ.get("IFVIT_LONG") == "1" else 500
    with Image.open(example_prints()[0]) as image:
        values = np.asarray(image.convert("L"))
    client = client_of(matcher=Matcher.from_checkpoints(), limits=Limits(threads=1, waiting=1))
    statuses = sent(client, values, count, "/api/quality", None)
    assert set(statuses) <= {200, 413, 422}
    assert min(statuses[200], statuses[422]) >= count // 10, statuses


HALVES = ("\ud800", "a\udfff", "\udc41" * 90, "né\ud83d")
"""Strings with half a surrogate pair of UTF-16: JSON can hold them, and no text be sent of them."""


@pytest.mark.parametrize("half", HALVES, ids=range(len(HALVES)))
@pytest.mark.parametrize("place", ["subject", "finger", "image", "ppi", "name", "metadata", "key"])
def test_half_a_sign_is_answered_wherever_it_stands(client_of, half, place):
    image = base64.b64encode(print_file(1)[1]).decode()
    one: dict[str, object] = {"image": image, "ppi": 500.0, "name": "a"}
    values: dict[str, object] = {"subject": "ann", "finger": "1", "metadata": {"a": "b"}}
    if place in one:
        one[place] = half
    else:
        values[half if place == "key" else place] = {"a": half} if place == "metadata" else half
    body = json.dumps(values | {"print": [one]})
    headers = {"Content-Type": "application/json"}
    answer = client_of(gallery=True).post("/api/enroll", content=body, headers=headers)
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert set(answer.json()["error"]) == {"code", "message", "what_to_do"}


@pytest.mark.parametrize("half", HALVES, ids=range(len(HALVES)))
def test_an_error_that_quotes_half_a_sign_can_be_sent(half):
    answer = ServiceError("bad_value", f"the name is {half}").response()
    said = json.loads(bytes(answer.body))["error"]["message"]
    assert said.startswith("the name is ") and said.isprintable()
