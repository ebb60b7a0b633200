"""A service with a matcher that is there at once, and clients of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fake_service import TOKENS, FastMatcher
from starlette.testclient import TestClient

from ifvit.gallery.gallery import Gallery
from ifvit.service.access import Keys
from ifvit.service.app import Service, create_app
from ifvit.service.limits import Limits


@pytest.fixture(scope="session")
def matcher() -> FastMatcher:
    return FastMatcher()


@pytest.fixture
def client_of(matcher, tmp_path) -> Iterator[Callable[..., TestClient]]:
    """Return what makes a client of a service with these settings, and a gallery if asked for."""
    opened: list[TestClient] = []

    def make(gallery: bool = False, tokens: bool = False, **settings) -> TestClient:
        kept = Gallery(tmp_path / "gallery", matcher, create=True) if gallery else None
        keys = Keys([(role, token) for role, token in TOKENS.items()]) if tokens else None
        limits = settings.pop("limits", Limits(threads=1, waiting=4))
        service = Service(settings.pop("matcher", matcher), kept, keys, limits, **settings)
        client = TestClient(
            create_app(service), "http://127.0.0.1:8080", raise_server_exceptions=False
        )
        opened.append(client.__enter__())
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)
