"""A service whose matches never end: a test kills it while one is under way."""

from __future__ import annotations

import sys
import time

import uvicorn
from fake_service import FastMatcher

from ifvit.service.app import Service
from ifvit.service.serving import listening, server_of


class SlowMatcher(FastMatcher):
    """Says that it has begun, and does not come back."""

    def match(self, print0, print1, *, ppi=None):
        print("matching", flush=True)
        time.sleep(600)


if __name__ == "__main__":
    made = listening("127.0.0.1", 0)
    server: uvicorn.Server = server_of(Service(SlowMatcher()))
    print(made.getsockname()[1], flush=True)
    server.run(sockets=[made])
    sys.exit(0)
