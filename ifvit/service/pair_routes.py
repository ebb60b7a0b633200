"""The routes about prints in the request, of which nothing is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from ifvit.matcher import Matcher
from ifvit.service import pair_work, replies
from ifvit.service.access import MATCH
from ifvit.service.forms import EVIDENCE, Form, PrintField
from ifvit.service.limits import Limits
from ifvit.service.routing import described, worked
from ifvit.service.uploads import Given

MATCH_FORM = Form(
    (
        PrintField("probe", "The print in question."),
        PrintField("candidate", "The print to compare it with, or several.", several=True),
    ),
    (EVIDENCE,),
)

REGISTER_FORM = Form(
    (PrintField("print0", "The print that stays."), PrintField("print1", "The print laid on it.")),
    (EVIDENCE,),
)

PRINTS_FORM = Form((PrintField("print", "A print, or several.", several=True),))


def add_routes(app: FastAPI) -> None:
    """Declare the routes."""

    def add(path: str, endpoint: Callable, form: Form, reply: dict[str, Any]) -> None:
        declared = described(MATCH, reply, form)
        app.add_api_route(path, endpoint, methods=["POST"], tags=["prints"], **declared)

    add("/api/match", match, MATCH_FORM, replies.MATCHED)
    add("/api/register", register, REGISTER_FORM, replies.REGISTERED)
    add("/api/embed", embed, PRINTS_FORM, replies.EMBEDDED)
    add("/api/quality", quality, PRINTS_FORM, replies.MEASURED)


async def match(request: Request) -> Response:
    """Match a print with another, or with each of several, the best first."""
    return await _worked(request, MATCH_FORM, pair_work.matched)


async def register(request: Request) -> Response:
    """Lay one print on another: the transform, the matches, and the skin's distortion."""
    return await _worked(request, REGISTER_FORM, pair_work.registered)


async def embed(request: Request) -> Response:
    """Make templates of prints, to be stored and compared: a file that `ifvit compare` reads."""
    return await _worked(request, PRINTS_FORM, pair_work.embedded)


async def quality(request: Request) -> Response:
    """Measure prints: how probably each is found again (0 to 100), its pose and its size."""
    return await _worked(request, PRINTS_FORM, pair_work.measured)


async def _worked(
    request: Request, form: Form, work: Callable[[Matcher, Given, Limits], dict[str, Any]]
) -> Response:
    service = request.app.state.service

    def of(given: Given) -> dict[str, Any]:
        return work(service.matcher, given, service.limits)

    return await worked(request, service.workers, form, of)
