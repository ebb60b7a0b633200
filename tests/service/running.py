"""A service at a port of its own, in a thread of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from ifvit.service.app import Service
from ifvit.service.serving import listening, server_of


@contextmanager
def running(service: Service) -> Iterator[int]:
    """Answer at a free port of this machine; yields the port."""
    made = listening("127.0.0.1", 0)
    server: uvicorn.Server = server_of(service)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [made]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield made.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        made.close()
