"""A queue that has an end, and work that has a time limit."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from fake_service import FastMatcher, print_file
from running import running

from ifvit.service.app import Service
from ifvit.service.limits import Limits

PAIR = [("probe", print_file(1)), ("candidate", print_file(1, 1))]


class SlowMatcher(FastMatcher):
    """Matches once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go, self.begun = threading.Event(), 0

    def match(self, print0, print1, *, ppi=None):
        self.begun += 1
        assert self.go.wait(90)
        return super().match(print0, print1, ppi=ppi)


@pytest.fixture
def slow():
    matcher = SlowMatcher()
    yield matcher
    matcher.go.set()


def until(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def ask(port: int) -> httpx2.Response:
    return httpx2.post(f"http://127.0.0.1:{port}/api/match", files=PAIR, timeout=90)


def test_a_full_queue_says_when_to_come_again(slow):
    service = Service(slow, limits=Limits(threads=1, waiting=2))
    with running(service) as port, ThreadPoolExecutor(8) as clients:
        asked = [clients.submit(ask, port) for _ in range(3)]
        until(lambda: service.workers.taken == 3)
        refused = ask(port)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "busy")
        assert int(refused.headers["Retry-After"]) >= 1
        # Who asks for nothing that takes a thread is answered all the same.
        assert httpx2.get(f"http://127.0.0.1:{port}/health").status_code == 200
        metrics = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
        assert 'ifvit_places_taken{workers="prints"} 3.0' in metrics
        slow.go.set()
        assert [one.result().status_code for one in asked] == [200, 200, 200]
        assert ask(port).status_code == 200
    assert service.workers.taken == 0


def test_work_that_takes_too_long_is_given_up_and_keeps_its_place_until_it_ends(slow):
    service = Service(slow, limits=Limits(threads=1, waiting=0, request_s=0.2))
    with running(service) as port:
        late = ask(port)
        assert (late.status_code, late.json()["error"]["code"]) == (503, "out_of_time")
        assert "Retry-After" in late.headers
        # Its thread cannot be stopped: a second request would find none.
        assert ask(port).json()["error"]["code"] == "busy"
        slow.go.set()
        until(lambda: service.workers.taken == 0)
        assert ask(port).status_code == 200


def test_work_whose_client_has_gone_is_taken_out_of_the_queue(slow):
    service = Service(slow, limits=Limits(threads=1, waiting=2))
    with running(service) as port, ThreadPoolExecutor(2) as clients:
        first = clients.submit(ask, port)
        until(lambda: slow.begun == 1)
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(f"http://127.0.0.1:{port}/api/match", files=PAIR, timeout=0.3)
        until(lambda: service.workers.taken == 1)
        slow.go.set()
        assert first.result().status_code == 200
    assert slow.begun == 1


def test_a_client_that_goes_while_it_sends_leaves_nothing_behind(slow, caplog):
    service = Service(slow, limits=Limits(threads=1, waiting=0))
    with running(service) as port:
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.sendall(
                b"POST /api/match HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
                b"Content-Type: application/json\r\n\r\n{"
            )
            until(lambda: service.workers.taken == 1)
        until(lambda: service.workers.taken == 0)
    assert "foreseen" not in caplog.text


def test_more_connections_than_there_may_be_are_refused(slow):
    with running(Service(slow, limits=Limits(threads=1, waiting=0, connections=2))) as port:
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        time.sleep(0.1)
        with held[0], held[1]:
            assert httpx2.get(f"http://127.0.0.1:{port}/health").status_code == 503


def test_as_many_threads_work_as_were_asked_for(slow):
    service = Service(slow, limits=Limits(threads=2, waiting=4))
    with running(service) as port, ThreadPoolExecutor(4) as clients:
        asked = [clients.submit(ask, port) for _ in range(4)]
        until(lambda: service.workers.taken == 4)
        time.sleep(0.1)
        assert slow.begun == 2
        slow.go.set()
        assert all(one.result().status_code == 200 for one in asked)
