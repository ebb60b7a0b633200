"""Tokens and roles: every route of the application refuses who may not ask."""

from __future__ import annotations

import re

import pytest
from fake_service import TOKENS, print_file
from fastapi.routing import APIRoute

from ifvit.service.access import MATCH, OPEN, ROLES, Keys, role_of
from ifvit.service.faults import ServiceError

OPEN_PATHS = {"/", "/page/{name}", "/health"}
"""What everybody may see: the page itself, and that the service is there."""


def requests_of(client):
    """Return every route of the application with its method and the role that it needs."""
    found = []
    for route in client.app.routes:
        # Anything else, such as a mounted application, would pass by the check.
        assert isinstance(route, APIRoute), route
        path = re.sub(r"\{.*?\}", "x", route.path)
        found += [(method, path, role_of(route), route.path) for method in sorted(route.methods)]
    return found


def test_every_route_refuses_no_token_a_wrong_one_and_a_lesser_one(client_of):
    client, tried = client_of(gallery=True, tokens=True), 0
    for method, path, role, pattern in requests_of(client):
        assert (role == OPEN) == (pattern in OPEN_PATHS), pattern
        if role == OPEN:
            assert client.request(method, path).status_code in (200, 404)
            continue
        wrong = {"no_token": None, "wrong_token": "Bearer " + 64 * "0"}
        wrong |= {"lesser_token": f"Bearer {TOKENS[ROLES[ROLES.index(role) - 1]]}"}
        if role == MATCH:
            del wrong["lesser_token"]
        for code, header in wrong.items():
            headers = {} if header is None else {"Authorization": header}
            answer = client.request(method, path, headers=headers)
            assert answer.json()["error"]["code"] == code, (method, path)
            assert answer.status_code == (403 if code == "lesser_token" else 401)
            tried += 1
    assert tried >= 25


def test_the_roles_are_those_that_are_documented(client_of):
    roles = {f"{m} {pattern}": role for m, _, role, pattern in requests_of(client_of())}
    assert roles["POST /api/match"] == roles["POST /api/search"] == "match"
    assert roles["POST /api/enroll"] == roles["GET /api/subjects"] == "enroll"
    assert roles["DELETE /api/subjects/{id:path}"] == "admin"


def test_a_route_that_does_not_say_its_role_needs_the_highest(client_of):
    client = client_of(tokens=True)
    client.app.add_api_route("/forgotten", lambda: "seen")
    for role, status in (("enroll", 403), ("admin", 200)):
        headers = {"Authorization": f"Bearer {TOKENS[role]}"}
        assert client.get("/forgotten", headers=headers).status_code == status


@pytest.mark.parametrize("role", ROLES)
def test_a_role_includes_the_lesser_ones(client_of, role):
    client = client_of(gallery=True, tokens=True)
    client.headers["Authorization"] = f"bearer {TOKENS[role]}"
    pair = [("probe", print_file(1)), ("candidate", print_file(1, 1))]
    assert client.post("/api/match", files=pair).status_code == 200
    listed = client.get("/api/subjects").status_code
    gone = client.delete("/api/subjects/x").status_code
    expected = {"match": (403, 403), "enroll": (200, 403), "admin": (200, 404)}
    assert (listed, gone) == expected[role]


@pytest.mark.parametrize("role", [None, *ROLES])
def test_enrolled_prints_are_shown_to_who_may_enrol(client_of, role):
    """``None``: without a token file, to its own machine."""
    client = client_of(gallery=True, tokens=role is not None)
    client.headers["Authorization"] = f"Bearer {TOKENS['admin']}"
    data = {"subject": "ann", "keep_prints": "true"}
    client.post("/api/enroll", files=[("print", print_file(1))], data=data)
    client.headers["Authorization"] = f"Bearer {TOKENS.get(role, '')}"
    probe = [("probe", print_file(1, 2))]
    plain = client.post("/api/search", files=probe)
    assert plain.status_code == 200 and "data:image" not in plain.text
    answer = client.post("/api/search", files=probe, data={"evidence": "true"})
    if role == MATCH:
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "lesser_token")
        assert "expected enroll" in answer.text and "data:image" not in answer.text
    else:
        assert answer.json()["candidates"][0]["evidence"]["image1"].startswith("data:image/png")


def test_a_request_without_the_right_is_refused_before_its_body_is_read(client_of):
    client = client_of(tokens=True)
    answer = client.post("/api/match", content=b"no form at all")
    assert answer.json()["error"]["code"] == "no_token"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_file_is_read(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"# who\nmatch {'a' * 32}  # the door\n\nadmin {'b' * 64}\nmatch {'b' * 64}\n")
    keys = Keys.read(path)
    assert keys.role("a" * 32) == "match"
    assert keys.role("b" * 64) == "admin"  # its highest
    for wrong in ("", "a" * 31, "a" * 33, "\ud800", "ä" * 32):
        assert keys.role(wrong) is None


@pytest.mark.parametrize("mode, warns", [(0o600, False), (0o640, False), (0o644, True)])
def test_a_token_file_that_everybody_can_read_is_a_warning(tmp_path, caplog, mode, warns):
    path = tmp_path / "tokens"
    path.write_text(f"match {'a' * 32}\n")
    path.chmod(mode)
    Keys.read(path)
    assert ("can be read by every user" in caplog.text) == warns


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "holds no token"),
        ("match", "line 1: expected a role"),
        ("root " + 32 * "a", r"line 1: expected a role \(match, enroll, admin\)"),
        ("\nmatch short", "line 2: the token is shorter than 32"),
        ("match " + 32 * "ä", "signs that a header cannot"),
    ],
)
def test_a_token_file_that_is_none_is_an_error(tmp_path, text, message):
    path = tmp_path / "tokens"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        Keys.read(path)


def test_every_token_is_compared_in_constant_time(monkeypatch):
    """With each that there is, found or not, by the function that is made for it."""
    from ifvit.service import access

    compared = []

    def compare(first, second):
        compared.append(second)
        return first == second

    monkeypatch.setattr(access.hmac, "compare_digest", compare)
    keys = Keys([("match", "a" * 32), ("enroll", "b" * 32), ("admin", "c" * 32)])
    for token in ("a" * 32, "nobody's"):
        compared.clear()
        keys.role(token)
        assert len(compared) == 3


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic " + 32 * "a", 32 * "a"])
def test_a_header_without_a_token_is_none(header):
    with pytest.raises(ServiceError) as error:
        Keys([("match", "a" * 32)]).check(header, "match")
    assert error.value.code == "no_token"


def test_nothing_that_is_logged_or_counted_names_a_token_or_a_person(client_of, caplog):
    caplog.set_level("INFO", "ifvit")
    client = client_of(gallery=True, tokens=True)
    client.headers["Authorization"] = f"Bearer {TOKENS['admin']}"
    client.post("/api/enroll", files=[("print", print_file(1))], data={"subject": "ann"})
    client.get("/api/subjects/ann?after=ann")
    client.get("/ann")
    client.delete("/api/subjects/ann")
    told = caplog.text + client.get("/metrics").text
    assert "DELETE /api/subjects/{id:path} 200" in told
    assert 'route="/api/subjects/{id:path}"' in told
    for secret in ("ann", TOKENS["admin"], "1_0"):
        assert secret not in told.replace("annotations", "")
