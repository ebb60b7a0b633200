"""The checks before every route: host, origin and size of a request, and headers for browsers.

They are plain ASGI, so that a body is counted while it arrives.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ifvit.service.faults import ServiceError

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy: nothing from elsewhere, no script or style within the page."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

SAFE = ("GET", "HEAD", "OPTIONS")

LINGER_BYTES, LINGER_S = 64 << 20, 5.0
"""How many bytes of a refused body are read and discarded, and for how long. A client that is cut
off while it sends sees only a broken connection, and not the reason."""


class Shield:
    """Checks the host, the origin and the size of each request, and adds headers to each answer."""

    def __init__(
        self, app: ASGIApp, hosts: Sequence[str], origins: Sequence[str], body_bytes: int
    ) -> None:
        """Take names of the service, origins of other pages, and the most bytes of a body."""
        self.app, self.body_bytes = app, body_bytes
        self.hosts = {"localhost", *(name.lower() for name in hosts)}
        self.origins = set(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer with an error."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers, body = Headers(scope=scope), Body(receive, self.body_bytes)
        guarded = _guarded(send, body)
        try:
            self._check_host(headers)
            self._check_origin(scope["method"], headers)
            body.check_length(headers)
        except ServiceError as error:
            await error.response()(scope, body.receive, guarded)
            return
        await self.app(scope, body.receive, guarded)

    def _check_host(self, headers: Headers) -> None:
        """Refuse foreign host names: a foreign page's name may have been made to resolve to this
        machine (DNS rebinding).

        An address is accepted, since it cannot be made to mean another machine.
        """
        given = headers.get("host", "")
        try:
            name = urlsplit(f"//{given}").hostname or ""
        except ValueError:
            name = ""
        if name not in self.hosts and not _is_address(name):
            raise ServiceError("unknown_host", f"the host {given!r} is not this service")

    def _check_origin(self, method: str, headers: Headers) -> None:
        """Refuse requests of foreign pages, which a browser sends without the user's consent."""
        origin = headers.get("origin")
        if method in SAFE or origin is None or origin in self.origins:
            return
        try:
            own = urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
        except ValueError:
            own = False
        if not own:
            raise ServiceError("wrong_origin", f"a page from {origin!r} may not send this")


class Body:
    """The body of a request, counted while it arrives."""

    def __init__(self, receive: Receive, most: int) -> None:
        """Take what receives it, and the most bytes that it may have."""
        self._receive, self._most, self._size = receive, most, 0
        self.whole = False
        """Whether all of it has arrived."""

    def check_length(self, headers: Headers) -> None:
        """Raise :class:`ServiceError` for a length that is none, or too large, before reading."""
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()):
            raise ServiceError("bad_request", f"a Content-Length of {length!r}: expected a number")
        self.whole = int(length) == 0 and "transfer-encoding" not in headers
        self._check_size(int(length))

    async def receive(self) -> Message:
        """Receive a part; raises :class:`ServiceError` once the body is too large."""
        message = await self._receive()
        self._size += len(message.get("body", b""))
        self.whole = self.whole or not message.get("more_body", False)
        self._check_size(self._size)
        return message

    def _check_size(self, size: int) -> None:
        if size > self._most:
            raise ServiceError(
                "too_large",
                f"the request is of {size / 1e6:.1f} MB or more: expected at most "
                f"{self._most / 1e6:g} MB",
            )

    async def linger(self) -> None:
        """Discard the rest of the body, up to :data:`LINGER_BYTES` and for :data:`LINGER_S`."""
        seen = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while not self.whole and seen < LINGER_BYTES:
                    message = await self._receive()
                    seen += len(message.get("body", b""))
                    self.whole = not message.get("more_body", False)


def _guarded(send: Send, body: Body) -> Send:
    """Return a ``send`` that adds headers, and ends an answer once its request has arrived.

    An answer before the end of its request closes the connection, since the remaining bytes are no
    new request.
    """

    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if not body.whole:
                headers["Connection"] = "close"
        elif not body.whole and not message.get("more_body", False):
            await send({**message, "more_body": True})
            await body.linger()
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return guarded


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
