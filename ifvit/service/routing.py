"""What every route does: a place, the request read within its time, work in a thread, JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.responses import Response

from ifvit.matcher import Matcher
from ifvit.service.access import ROLE_KEY
from ifvit.service.faults import ServiceError
from ifvit.service.forms import Form
from ifvit.service.limits import Limits
from ifvit.service.uploads import Given, read

Work = Callable[[Matcher, Given, Limits], dict[str, Any]]


def described(role: str, form: Form | None = None) -> dict[str, Any]:
    """Return how a route is declared: the role that it needs, and what it takes."""
    extra: dict[str, Any] = {ROLE_KEY: role}
    if form is not None:
        extra["requestBody"] = form.request_body()
    return {"openapi_extra": extra, "response_model": None}


async def answered(request: Request, form: Form, work: Work) -> Response:
    """Read a request, do its work in a thread, and return the answer as JSON."""
    service = request.app.state.service
    async with service.workers.place():
        given = await in_time(request, form, service.limits)
        made = await service.workers.run(
            lambda: encoded(work(service.matcher, given, service.limits))
        )
    return Response(made, media_type="application/json")


async def in_time(request: Request, form: Form, limits: Limits) -> Given:
    """Read a request; raises :class:`ServiceError` as ``read``, and where it is too slow."""
    try:
        async with asyncio.timeout(limits.upload_s):
            return await read(request, form, limits)
    except TimeoutError as error:
        late = f"the request has not arrived within {limits.upload_s:g} s"
        raise ServiceError("too_slow", late) from error


def encoded(values: dict[str, Any]) -> bytes:
    """Return JSON; a text that is no UTF-8 has it spelled out."""
    text = json.dumps(values, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")
