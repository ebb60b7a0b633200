"""Prints that a request brings: matched, registered, embedded, measured; by form and by JSON."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from fake_matcher import print_bytes
from fake_service import print_file
from jsonschema_rs import validate

from ifvit.gallery.template import load_templates
from ifvit.service import replies
from ifvit.service.limits import Limits

PAIR = [("probe", print_file(1)), ("candidate", print_file(2)), ("candidate", print_file(1, 1))]


def in_json(finger: int, impression: int = 0, **more) -> dict:
    return {"image": base64.b64encode(print_bytes(finger, impression)).decode(), **more}


def test_the_best_candidate_comes_first(client_of):
    found = client_of().post("/api/match", files=PAIR).json()
    validate(replies.MATCHED, found)
    first, second = found["candidates"]
    assert (first["candidate"], first["name1"], first["name0"]) == (1, "1_1.png", "1_0.png")
    assert first["score"] > second["score"]
    assert "evidence" not in first


def test_a_form_and_json_are_answered_alike(client_of):
    client = client_of()
    body = {
        "probe": in_json(1, name="1_0.png"),
        "candidate": [in_json(2, name="2_0.png"), in_json(1, 1, name="1_1.png", ppi=500)],
    }
    expected = client.post("/api/match", files=PAIR).json()
    assert client.post("/api/match", json=body).json() == expected
    alone = {**body, "candidate": body["candidate"][0]}
    assert len(client.post("/api/match", json=alone).json()["candidates"]) == 1


def test_evidence_comes_with_each_result_where_it_is_asked_for(client_of):
    found = client_of().post("/api/match", files=PAIR, data={"evidence": "true"}).json()
    evidence = found["candidates"][0]["evidence"]
    assert evidence["image0"].startswith("data:image/png;base64,")
    assert len(evidence["matches"]["points0"]) == 3


def test_evidence_is_for_a_few_candidates(client_of):
    """Each repeats the probe's picture, and adds two."""
    client, most = client_of(), Limits().evidence
    files = [PAIR[0], *[PAIR[1]] * (most + 1)]
    found = client.post("/api/match", files=files[:-1], data={"evidence": "true"}).json()
    assert all("evidence" in one for one in found["candidates"])
    answer = client.post("/api/match", files=files, data={"evidence": "true"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "bad_value")
    assert "5 candidates with evidence: expected at most 4" in answer.json()["error"]["message"]
    assert len(client.post("/api/match", files=files).json()["candidates"]) == most + 1


def test_each_print_has_its_own_resolution(client_of):
    client = client_of()
    sizes = []
    for ppi in ([], ["500"], ["500", "1000"]):
        files = [("print", print_file(1)), ("print", print_file(2))]
        found = client.post("/api/quality", files=files, data={"print_ppi": ppi}).json()
        validate(replies.MEASURED, found)
        sizes.append([one["width_px"] for one in found["prints"]])
    assert sizes == [[96, 96], [96, 96], [96, 48]]
    listed = {"print": [in_json(1, ppi=1000), in_json(2)]}
    found = client.post("/api/quality", json=listed).json()
    assert [one["width_px"] for one in found["prints"]] == [48, 96]


def test_templates_are_a_file_that_compare_reads(client_of, matcher, tmp_path):
    files = [("print", print_file(1)), ("print", print_file(2)), ("print", print_file(2))]
    found = client_of().post("/api/embed", files=files).json()
    validate(replies.EMBEDDED, found)
    path = tmp_path / "templates.npz"
    path.write_bytes(base64.b64decode(found["templates"]))
    # Names are keys of a file: of two alike, the second is told apart.
    names = ("1_0.png", "2_0.png", "2_0.png (2)")
    assert load_templates(path).names == names
    assert tuple(one["name"] for one in found["prints"]) == names


def test_a_registration_says_how_one_lies_on_the_other(client_of):
    files = [("print0", print_file(1)), ("print1", print_file(1, 1))]
    found = client_of().post("/api/register", files=files, data={"evidence": "1"}).json()
    validate(replies.REGISTERED, found)
    assert np.allclose(found["alignment"]["H_0to1"], np.eye(2, 3))
    assert found["aligned"].startswith("data:image/png")


WRONG = {
    "no candidate": ([PAIR[0]], {}, "0 files as candidate"),
    "two probes": ([PAIR[0], *PAIR], {}, "2 files as probe"),
    "another field": (PAIR, {"probe_dpi": "500"}, "unknown fields: 'probe_dpi'"),
    "ppi of none": (PAIR, {"candidate_ppi": ["1", "2", "3"]}, "3 values of candidate_ppi"),
    "ppi too low": (PAIR, {"probe_ppi": "5"}, "probe_ppi is 5.0: expected 100 to 4000"),
    "ppi no number": (PAIR, {"probe_ppi": "nan"}, "probe_ppi is nan"),
    "no boolean": (PAIR, {"evidence": "perhaps"}, "evidence is 'perhaps': expected type boolean"),
}


@pytest.mark.parametrize("files, data, message", WRONG.values(), ids=WRONG)
def test_a_form_that_is_not_as_declared_is_refused(client_of, files, data, message):
    answer = client_of().post("/api/match", files=files, data=data)
    validate(replies.ERROR, answer.json())
    assert answer.status_code == 422
    assert message in answer.json()["error"]["message"]


BODIES = {
    "no JSON": (b"{", 400, "no JSON"),
    "a list": (b"[]", 400, "not an object"),
    "deep": (b"[" * 100_000, 400, "nested too deeply"),
    "no text": (b"\xff\xfe", 400, "cannot be read"),
    "no print": (b"{}", 422, "probe is no object"),
    "no base64": (b'{"probe": {"image": "?"}, "candidate": []}', 422, "no base64"),
    "no image": (
        b'{"probe": {"image": ""}, "candidate": {"image": ""}}',
        422,
        "probe is not an image",
    ),
    "no candidate": (
        json.dumps({"probe": in_json(1), "candidate": []}).encode(),
        422,
        "no candidate: expected one print or several",
    ),
    "a number for a name": (b'{"probe": {"image": "", "name": 5}}', 422, "that is text"),
    "True as ppi": (b'{"probe": {"image": "", "ppi": true}}', 422, "ppi of probe is True"),
}


@pytest.mark.parametrize("body, status, message", BODIES.values(), ids=BODIES)
def test_json_that_is_not_as_declared_is_refused(client_of, body, status, message):
    headers = {"Content-Type": "application/json"}
    answer = client_of().post("/api/match", content=body, headers=headers)
    validate(replies.ERROR, answer.json())
    assert answer.status_code == status
    assert message in answer.json()["error"]["message"]


def test_a_body_of_another_kind_is_refused(client_of):
    answer = client_of().post("/api/match", content=b"x", headers={"Content-Type": "image/png"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "wrong_type")
    headers = {"Content-Type": "multipart/form-data"}
    answer = client_of().post("/api/match", content=b"x", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


def test_what_is_no_print_is_told_in_the_words_of_the_package(client_of):
    files = [("probe", ("../../etc/passwd\n<b>.png", b"%PDF-1.7", "image/png")), PAIR[1]]
    answer = client_of().post("/api/match", files=files)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "unusable_print"
    assert error["message"].startswith("passwd")
    assert "(PDF; convert it to PNG)" in error["message"]
    assert "\n" not in error["message"]


def test_names_that_are_no_text_do_no_harm(client_of):
    body = json.dumps({"print": in_json(1, name="\ud800\x00 a")}).encode()
    headers = {"Content-Type": "application/json"}
    answer = client_of().post("/api/quality", content=body, headers=headers)
    assert answer.json()["prints"][0]["name"] == "a"


def test_what_nobody_foresaw_is_told_without_what_was_sent(client_of, monkeypatch, caplog):
    from ifvit.service import pair_work

    def broken(*_):
        raise RuntimeError("the secret of 1_0.png")

    monkeypatch.setattr(pair_work, "matched", broken)
    answer = client_of().post("/api/match", files=PAIR)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "unforeseen")
    assert "secret" not in answer.text + caplog.text
    assert "RuntimeError in test_pair_routes.py" in caplog.text
