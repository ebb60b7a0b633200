"""What stands before every route: whose request it is, how large, and what a browser may do.

Plain ASGI, so that a body is counted while it arrives.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
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
        """Hand a request on, or answer why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        counted = self._counted(receive)
        try:
            self._check_host(headers)
            self._check_origin(scope["method"], headers)
            self._check_length(headers)
        except ServiceError as fault:
            await fault.response()(scope, receive, self._guarded(send))
            return
        await self.app(scope, counted, self._guarded(send))

    def _check_host(self, headers: Headers) -> None:
        """Refuse names of others: a page of theirs whose name now means this machine's address.

        An address is no name, and cannot be made to mean another.
        """
        given = headers.get("host", "")
        try:
            name = urlsplit(f"//{given}").hostname or ""
        except ValueError:
            name = ""
        if name not in self.hosts and not _is_address(name):
            raise ServiceError("unknown_host", f"the host {given!r} is not this service")

    def _check_origin(self, method: str, headers: Headers) -> None:
        """Refuse what a page from elsewhere sends: a browser sends it without asking."""
        origin = headers.get("origin")
        if method in SAFE or origin is None or origin in self.origins:
            return
        if urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
            raise ServiceError("wrong_origin", f"a page from {origin!r} may not send this")

    def _check_length(self, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise ServiceError("bad_request", f"a Content-Length of {length!r}: expected a number")
        self._check_size(int(length))

    def _check_size(self, size: int) -> None:
        if size > self.body_bytes:
            raise ServiceError(
                "too_large",
                f"the request is of {size / 1e6:.1f} MB or more: expected at most "
                f"{self.body_bytes / 1e6:g} MB",
            )

    def _counted(self, receive: Receive) -> Receive:
        """Return a ``receive`` that raises :class:`ServiceError` once a body is too large."""
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            self._check_size(size)
            return message

        return counted

    def _guarded(self, send: Send) -> Send:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        return guarded


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
