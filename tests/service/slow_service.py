"""A service whose matches never end: a test kills it while one is under way."""

from __future__ import annotations

import time

from fake_service import FastMatcher
from running import running

from ifvit.service.app import Service
from ifvit.service.limits import Limits


class SlowMatcher(FastMatcher):
    """Says that it has begun, and does not come back in time."""

    def match(self, print0, print1, *, ppi=None):
        print("matching", flush=True)
        time.sleep(120)


if __name__ == "__main__":
    with running(Service(SlowMatcher(), limits=Limits(threads=2))) as port:
        print(port, flush=True)
        time.sleep(120)
