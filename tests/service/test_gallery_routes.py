"""A gallery by HTTP: enrolled, searched, listed, removed."""

from __future__ import annotations

import base64
import json

import pytest
from fake_matcher import print_bytes
from fake_service import print_file
from jsonschema_rs import validate

from ifvit.service import replies
from ifvit.service.limits import Limits

ANN = "an<b>n</b> / ä"


@pytest.fixture
def client(client_of):
    return client_of(gallery=True)


def enroll(client, number: int, subject: str, **values):
    data = {"subject": subject, "keep_prints": "true"} | values
    files = [("print", print_file(number)), ("print", print_file(number, 1))]
    return client.post("/api/enroll", files=files, data=data)


def test_who_is_enrolled_is_found_listed_and_removed(client):
    told = enroll(client, 1, ANN, finger="right index", metadata='{"case": "A7"}').json()
    validate(replies.ENROLLED, told)
    assert [one["state"] for one in told["prints"]] == ["enrolled", "enrolled"]
    assert enroll(client, 2, "bob").json()["size"] == 4

    found = client.post("/api/search", files=[("probe", print_file(1, 2))]).json()
    validate(replies.FOUND, found)
    best = found["candidates"][0]
    assert (best["subject"], best["finger"]) == (ANN, "right index")
    assert found["found"] == [best["id"]] and found["decided"]

    listed = client.get("/api/subjects").json()
    validate(replies.SUBJECTS, listed)
    assert [one["subject"] for one in listed["subjects"]] == [ANN, "bob"]
    seen = client.get("/api/subjects/" + "an%3Cb%3En%3C%2Fb%3E%20%2F%20%C3%A4").json()
    validate(replies.SUBJECT, seen)
    assert (seen["subject"], len(seen["prints"])) == (ANN, 2)
    assert seen["prints"][0]["metadata"] == {"case": "A7"}

    gone = client.request("DELETE", "/api/subjects/bob", params={"purge": True}).json()
    validate(replies.REMOVED, gone)
    assert len(gone["removed"]) == 2 and gone["purged"]
    assert client.get("/api/subjects/bob").json()["error"]["code"] == "nobody"
    assert client.get(f"/api/subjects/{best['id']}").json()["subject"] == ANN


def test_nobody_is_an_answer(client):
    found = client.post("/api/search", files=[("probe", print_file(3))]).json()
    assert (found["size"], found["found"], found["candidates"]) == (0, [], [])
    enroll(client, 1, "ann")
    assert client.post("/api/search", files=[("probe", print_file(3))]).json()["found"] == []


def test_evidence_comes_with_candidates_whose_prints_are_kept(client):
    enroll(client, 1, "ann")
    enroll(client, 2, "bob", keep_prints="false")
    data = {"evidence": "1", "top": "2"}
    found = client.post("/api/search", files=[("probe", print_file(1, 2))], data=data).json()
    with_evidence = {one["subject"]: "evidence" in one for one in found["candidates"]}
    assert with_evidence == {"ann": True, "bob": False}


@pytest.mark.parametrize("most", [1, 2])
def test_evidence_comes_with_the_best_alone(client_of, most):
    client = client_of(gallery=True, limits=Limits(threads=1, waiting=4, evidence=most))
    # A print each: of more, one that is beyond doubt would be the last that is compared.
    for number, subject in ((1, "ann"), (2, "bob")):
        files = [("print", print_file(number))]
        client.post("/api/enroll", files=files, data={"subject": subject, "keep_prints": "true"})
    data = {"evidence": "1", "top": "2"}
    found = client.post("/api/search", files=[("probe", print_file(1, 2))], data=data).json()
    assert sum("evidence" in one for one in found["candidates"]) == most
    assert "evidence" in found["candidates"][0]


def test_what_is_not_enrolled_is_told(client):
    enroll(client, 1, "ann")
    again = enroll(client, 1, "ann").json()["prints"]
    assert [one["state"] for one in again] == ["known", "known"]
    as_bob = enroll(client, 1, "bob").json()["prints"][0]
    assert as_bob["state"] == "refused" and "as that of ann" in as_bob["reason"]


def test_enrolment_by_json(client):
    image = base64.b64encode(print_bytes(4)).decode()
    body = {"print": {"image": image, "ppi": 500}, "subject": "eve", "metadata": {"a": "b"}}
    assert client.post("/api/enroll", json=body).json()["size"] == 1
    for wrong in ({"metadata": {"a": 1}}, {"subject": "a\u0000"}, {"metadata": []}):
        answer = client.post("/api/enroll", json=body | wrong)
        assert answer.status_code == 422, wrong
    text = json.dumps(body | {"subject": "\ud800"}).encode()
    headers = {"Content-Type": "application/json"}
    assert client.post("/api/enroll", content=text, headers=headers).status_code == 422


def test_subjects_are_listed_a_page_at_a_time(client):
    for finger, subject in enumerate(("ann", "bob", "eve"), 1):
        enroll(client, finger, subject)
    first = client.get("/api/subjects", params={"limit": 2}).json()
    assert [one["subject"] for one in first["subjects"]] == ["ann", "bob"]
    assert first["total"] == 3
    rest = client.get("/api/subjects", params={"limit": 2, "after": "bob"}).json()
    assert [one["subject"] for one in rest["subjects"]] == ["eve"]
    assert client.get("/api/subjects", params={"limit": 0}).status_code == 422


def test_a_gallery_that_another_process_writes_to_is_told(client, tmp_path):
    from ifvit.locks import folder_lock

    with folder_lock(tmp_path / "gallery", "at work", "gallery"):
        answer = enroll(client, 1, "ann")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "gallery_refused")


REASONS = {
    "damaged": (ValueError("/srv/people: reading failed: `ifvit gallery check`"), 409),
    "full disk": (OSError(28, "/srv/people: writing failed: No space left"), 500),
    "gone": (FileNotFoundError(2, "No such file", "/srv/people/rows.lance"), 500),
}


@pytest.mark.parametrize("error, status", REASONS.values(), ids=REASONS)
def test_why_a_gallery_refuses_is_for_the_log_alone(client, monkeypatch, caplog, error, status):
    """Whatever is asked: that a gallery is damaged does not mean that nobody is called so."""

    def broken(*_, **__):
        raise error

    enroll(client, 1, "ann")
    store = client.app.state.service.gallery.store
    for name in ("find", "add", "index", "refresh"):
        monkeypatch.setattr(store, name, broken)
    code = {409: "gallery_refused", 500: "gallery_failed"}[status]
    answers = [client.get("/api/subjects/ann"), client.delete("/api/subjects/ann")]
    monkeypatch.setattr(store, "refresh", lambda: 1)
    answers += [client.get("/api/subjects/ann"), client.delete("/api/subjects/ann")]
    answers += [enroll(client, 2, "bob")]
    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert "/srv" not in answer.text and "ifvit gallery" not in answer.text
    assert caplog.text.count("/srv/people") >= len(answers)


def test_a_service_without_a_gallery_says_so(client_of):
    client = client_of()
    for answer in (
        client.get("/api/subjects"),
        client.delete("/api/subjects/ann"),
        client.post("/api/search", files=[("probe", print_file(1))]),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_gallery")
