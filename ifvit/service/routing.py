"""The steps of every route: a place in the queue, the request read in time, a thread, JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.responses import Response

from ifvit.service.access import ROLE_KEY
from ifvit.service.faults import ServiceError
from ifvit.service.forms import Form
from ifvit.service.limits import Limits
from ifvit.service.uploads import Given, read
from ifvit.service.workers import Workers

JSON = "application/json"

NOBODY_LISTENS = 499
"""The status that is logged where the client has closed the connection; nobody receives it."""


def described(
    role: str,
    reply: dict[str, Any] | None = None,
    form: Form | None = None,
) -> dict[str, Any]:
    """Return how a route is declared: the role that it needs, what it takes and what it answers.

    ``reply`` is the JSON schema of its answer.
    """
    extra: dict[str, Any] = {ROLE_KEY: role}
    if form is not None:
        extra["requestBody"] = form.request_body()
    declared: dict[str, Any] = {"openapi_extra": extra, "response_model": None}
    if reply is not None:
        content = {JSON: {"schema": reply}}
        declared["responses"] = {200: {"description": "Done.", "content": content}}
    return declared


async def worked(request: Request, workers: Workers, form: Form, work: Callable) -> Response:
    """Read a request, do its work in a thread, and return the answer as JSON.

    ``work`` takes the contents of the request, and returns plain values.
    """
    async with workers.place():
        given = await in_time(request, form, request.app.state.service.limits)
        return await _unless_gone(request, workers.run(lambda: encoded(work(given))))


async def asked(request: Request, workers: Workers, work: Callable[[], Any]) -> Response:
    """Do the work of a request without a body in a thread, and return the answer as JSON."""
    async with workers.place():
        return await _unless_gone(request, workers.run(lambda: encoded(work())))


async def in_time(request: Request, form: Form, limits: Limits) -> Given:
    """Read a request; raises :class:`ServiceError` as ``read``, and where it is too slow."""
    try:
        async with asyncio.timeout(limits.upload_s):
            return await read(request, form, limits)
    except TimeoutError as error:
        late = f"the request has not arrived within {limits.upload_s:g} s"
        raise ServiceError("too_slow", late) from error


def encoded(values: dict[str, Any]) -> bytes:
    """Return JSON; bytes of a text that are not UTF-8 are escaped."""
    text = json.dumps(values, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


async def _unless_gone(request: Request, running: Any) -> Response:
    """Wait for a thread; where the client disconnects, take its work out of the queue."""
    work, gone = asyncio.ensure_future(running), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return Response(work.result(), media_type=JSON)
        return Response(status_code=NOBODY_LISTENS)
    finally:
        for one in (work, gone):
            one.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
