"""Metrics and log of requests: the route, the status and the time of each, and no more.

Names, prints and tokens are not logged: a path with somebody's name appears as its pattern.
"""

from __future__ import annotations

import logging
import time
import traceback
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ifvit.service.faults import ServiceError
from ifvit.service.workers import Workers

logger = logging.getLogger("ifvit")

METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
"""Methods that are counted and logged by name. A client can send any other word, and each would be
a series of metrics that is kept as long as the service runs."""

SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Places(Collector):
    """A collector of how many places are taken, at the moment of the query."""

    def __init__(self, workers: dict[str, Workers]) -> None:
        """Take the workers by what they do."""
        self._workers = workers

    def collect(self) -> list[GaugeMetricFamily]:
        """Return a gauge of the places taken, and one of all places."""
        taken = GaugeMetricFamily(
            "ifvit_places_taken", "Requests worked on or waiting", labels=["workers"]
        )
        there = GaugeMetricFamily(
            "ifvit_places", "Requests that find a place at most", labels=["workers"]
        )
        for name, one in self._workers.items():
            taken.add_metric([name], one.taken)
            there.add_metric([name], one.places)
        return [taken, there]


class Metrics:
    """The counts of one service, for Prometheus."""

    def __init__(self, workers: dict[str, Workers]) -> None:
        """Begin at zero."""
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter(
            "ifvit_requests", "Requests answered", labels, registry=self.registry
        )
        self.seconds = Histogram(
            "ifvit_request_seconds",
            "Time to the answer",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.registry.register(Places(workers))
        ProcessCollector(registry=self.registry)

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)


class Watch:
    """Counts and logs each request, and answers unforeseen errors."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Take where requests are counted."""
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note its outcome."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:
            # Where it arose, and not its message, which can contain what was sent.
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}, line {last.lineno}"
            logger.error("%s in %s: this was not foreseen", type(error).__name__, where)
            if not status:
                told = ServiceError("unforeseen", f"{type(error).__name__} was not foreseen")
                await told.response()(scope, receive, noted)
        seconds = time.perf_counter() - start
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self.metrics.note(method, route, status, seconds)
        logger.info("%s %s %d in %.0f ms", method, route, status, 1000 * seconds)
