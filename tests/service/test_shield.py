"""What stands before every route: hosts, origins, sizes, and headers for browsers."""

from __future__ import annotations

import runpy
import socket
import tempfile
import time
import tracemalloc

import pytest
from fake_service import print_file
from running import running
from starlette.formparsers import MultiPartParser

from ifvit.service import shield, uploads
from ifvit.service.app import Service
from ifvit.service.limits import Limits

PAIR = [("probe", print_file(1)), ("candidate", print_file(1, 1))]


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/health", "/api/examples", "/nothing"])
def test_every_answer_tells_a_browser_what_it_may_do(client_of, path):
    headers = client_of().get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in str(policy)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    for absent in ("Set-Cookie", "Access-Control-Allow-Origin", "Server"):
        assert absent not in headers


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "[::1]:8080", "localhost", "10.1.2.3", "door"])
def test_its_own_names_and_every_address_are_hosts(client_of, host):
    assert client_of(hosts=("door",)).get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "", "[::1", "localhost.evil.example", "door:x@e"])
def test_a_name_of_others_is_no_host(client_of, host):
    """A page of theirs whose name now means this machine: DNS rebinding."""
    answer = client_of(hosts=("door",)).get("/health", headers={"Host": host})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unknown_host")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://["]
)
def test_a_page_from_elsewhere_changes_nothing(client_of, origin):
    client, headers = client_of(gallery=True), {"Origin": origin}
    for method, path in (("POST", "/api/enroll"), ("DELETE", "/api/subjects/ann")):
        answer = client.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "wrong_origin")
    own = {"Origin": "http://127.0.0.1:8080"}
    assert client.post("/api/match", files=PAIR, headers=own).status_code == 200


def test_other_origins_may_ask_only_where_they_are_named(client_of):
    asks = {"Origin": "https://form.example", "Access-Control-Request-Method": "POST"}
    assert (
        "access-control-allow-origin" not in client_of().options("/api/match", headers=asks).headers
    )
    client = client_of(origins=("https://form.example",))
    allowed = client.options("/api/match", headers=asks)
    assert allowed.headers["access-control-allow-origin"] == "https://form.example"
    headers = {"Origin": "https://form.example"}
    answer = client.post("/api/match", files=PAIR, headers=headers)
    assert answer.status_code == 200
    assert "access-control-allow-credentials" not in answer.headers
    other = client.post("/api/match", files=PAIR, headers={"Origin": "https://evil.example"})
    assert other.status_code == 403


def test_a_body_of_20_mb_is_refused_before_it_is_sent(matcher):
    """By its length alone: what is sent of it is a hundredth."""
    with running(Service(matcher)) as port, socket.create_connection(("127.0.0.1", port)) as peer:
        peer.settimeout(10)
        peer.sendall(
            b"POST /api/match HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + bytes(200_000)
        )
        answer = peer.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 413")
    assert "connection: close" in answer.lower()
    assert "expected at most 10 MB" in answer


def test_a_body_without_a_length_is_refused_while_it_arrives(matcher):
    """And what arrives afterwards is thrown away, so that the client comes to see the reason."""
    part = b"%x\r\n" % 100_000 + bytes(100_000) + b"\r\n"
    start = (
        b"POST /api/match HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    form = b'--x\r\nContent-Disposition: form-data; name="probe"; filename="a"\r\n\r\n'
    with running(Service(matcher)) as port, socket.create_connection(("127.0.0.1", port)) as peer:
        peer.settimeout(10)
        tracemalloc.start()
        peer.sendall(start + b"%x\r\n%b\r\n" % (len(form), form))
        for _ in range(200):  # 20 MB in all
            peer.sendall(part)
        peer.sendall(b"0\r\n\r\n")
        answer = peer.recv(65536).decode()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert answer.startswith("HTTP/1.1 413") and "MB or more" in answer
    assert peak < 16e6


def test_a_body_that_never_ends_is_not_read_for_ever(matcher, monkeypatch):
    monkeypatch.setattr(shield, "LINGER_S", 0.2)
    with running(Service(matcher)) as port, socket.create_connection(("127.0.0.1", port)) as peer:
        peer.settimeout(10)
        peer.sendall(
            b"POST /api/match HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\r\n"
        )
        start, seen = time.monotonic(), b""
        while part := peer.recv(65536):
            seen += part
        assert seen.startswith(b"HTTP/1.1 413") and time.monotonic() - start < 5


@pytest.mark.parametrize("length", [b"-1", b"1e9", b"\xb2", b"x", b""])
def test_a_length_that_is_none_is_refused(client_of, length):
    answer = client_of().post("/api/match", headers={b"Content-Length": length})
    assert answer.status_code == 400


def test_a_request_that_does_not_arrive_is_given_up(matcher):
    service = Service(matcher, limits=Limits(threads=1, waiting=0, upload_s=0.2))
    with running(service) as port, socket.create_connection(("127.0.0.1", port)) as peer:
        peer.settimeout(10)
        peer.sendall(
            b"POST /api/match HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: application/json\r\n\r\n{"
        )
        assert peer.recv(65536).startswith(b"HTTP/1.1 408")
    assert service.workers.taken == 0


def test_a_parser_that_would_write_to_the_disk_is_refused_at_once(monkeypatch):
    """One whose limit has another name would take no notice of ours."""
    monkeypatch.delattr(MultiPartParser, "spool_max_size")
    with pytest.raises(ImportError, match=r"pip install 'ifvit\[serve\]'"):
        runpy.run_path(uploads.__file__)


def test_an_upload_never_touches_the_disk(client_of, monkeypatch):
    """Files of more than a megabyte would, by the parser's own limit."""

    def rolled(*_):
        raise AssertionError("an upload went to the disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", rolled)
    monkeypatch.setattr(tempfile, "TemporaryFile", rolled)
    name, data, kind = print_file(1)
    large = (name, data + bytes(9_000_000), kind)
    answer = client_of().post("/api/match", files=[("probe", large), PAIR[1]])
    assert answer.status_code in (200, 422)
