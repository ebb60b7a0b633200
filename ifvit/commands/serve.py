"""``ifvit serve``: a page, and the same for programs by HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ifvit.commands.galleries import opened
from ifvit.commands.options import SHIPPED, WeightsOptions
from ifvit.endings import flushed


@dataclass(frozen=True)
class Settings:
    """Serve a page on which prints are compared, and the same by HTTP and JSON."""

    gallery: str | None = None
    """Folder of a gallery to enrol into and to search, made if there is none."""
    host: str = "127.0.0.1"
    """Address to listen at. Any but this machine's own needs ``--token-file``."""
    port: int = 8080
    """Port to listen at; 0 takes a free one."""
    token_file: str | None = None
    """File of tokens: lines ``ROLE TOKEN``, where the role is match, enroll or admin."""
    allowed_host: tuple[str, ...] = ()
    """Names under which the service is reached, beside its addresses and localhost."""
    cors_origin: tuple[str, ...] = ()
    """Origins of other pages that may use the service, such as https://example.org."""
    threads: int | None = None
    """Number of requests processed at the same time; one per core if not given."""
    waiting: int = 32
    """Number of requests that may wait; further ones are told to come back later."""
    key_file: str | None = None
    """File with the key of an encrypted gallery; if not given, IFVIT_GALLERY_KEY is the key."""
    weights: WeightsOptions = SHIPPED


def run(settings: Settings) -> None:
    """Load the models, open the gallery, and answer."""
    try:
        from ifvit.service.access import Keys
        from ifvit.service.serving import check_address, listening, serve
    except ImportError as error:
        raise ValueError(
            f"a service needs FastAPI and uvicorn, which cannot be imported ({error}): "
            "pip install 'ifvit[serve]'"
        ) from error
    _check(settings)
    check_address(settings.host, settings.token_file is not None)
    keys = None if settings.token_file is None else Keys.read(settings.token_file)
    settings.weights.files()
    with listening(settings.host, settings.port) as listens:
        service = _service(settings, keys)
        listens.listen()  # a program that reads the line below may send a request at once
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        print(f"ifvit answers at http://{host}:{listens.getsockname()[1]}/")
        if keys is None:
            print("No tokens are needed: only this machine can reach it, and every user on it")
        flushed()
        serve(service, settings.host, listens)


def _service(settings: Settings, keys: Any) -> Any:
    """Load the models and open the gallery."""
    from ifvit.service.app import Service
    from ifvit.service.limits import Limits

    matcher = settings.weights.matcher()
    gallery = None
    if settings.gallery is not None:
        gallery = opened(settings.gallery, settings.key_file, matcher, create=True)
    counts = {"waiting": settings.waiting} | (
        {"threads": settings.threads} if settings.threads else {}
    )
    hosts = settings.host, *settings.allowed_host
    return Service(matcher, gallery, keys, Limits(**counts), hosts, settings.cors_origin)


def _check(settings: Settings) -> None:
    if not 0 <= settings.port <= 65535:
        raise ValueError(f"--port {settings.port}: expected 0 to 65535")
    for name, value, least in (("threads", settings.threads, 1), ("waiting", settings.waiting, 0)):
        if value is not None and value < least:
            raise ValueError(f"--{name} {value}: expected at least {least}")
    for origin in settings.cors_origin:
        if not re.fullmatch(r"https?://[\w.-]+(:\d+)?|https?://\[[\da-f:]+\](:\d+)?", origin):
            raise ValueError(
                f"--cors-origin {origin}: expected the origin of a page, such as "
                "https://example.org"
            )
