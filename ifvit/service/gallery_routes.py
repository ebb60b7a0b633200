"""The routes about the gallery: enrol, search, list, remove."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from starlette.responses import Response

from ifvit.service import gallery_work, replies
from ifvit.service.access import ADMIN, ENROLL, MATCH, require_role
from ifvit.service.faults import ServiceError
from ifvit.service.forms import EVIDENCE, Form, PrintField, ValueField
from ifvit.service.limits import Limits
from ifvit.service.routing import asked, described, worked
from ifvit.service.uploads import Given


def _flag(name: str, about: str) -> ValueField:
    return ValueField(name, {"type": "boolean", "default": False, "description": about})


def _text(name: str, about: str) -> ValueField:
    schema = {"type": "string", "default": "", "maxLength": 200, "description": about}
    return ValueField(name, schema)


ENROLL_FORM = Form(
    (PrintField("print", "A print of one finger, or several.", several=True),),
    (
        _text("subject", "The person whose prints they are."),
        _text("finger", "The finger, such as right index."),
        _flag("keep_prints", "Keep the prints themselves: a decision and evidence need them."),
        _flag("force", "Enrol prints of low quality too."),
        ValueField(
            "metadata",
            {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "default": {},
                "description": "Further labels to keep with the prints.",
            },
        ),
    ),
)

SEARCH_FORM = Form(
    (PrintField("probe", "The print whose finger is searched for."),),
    (
        ValueField("top", {"type": "integer", "minimum": 1, "maximum": 50, "default": 10}),
        ValueField(
            "fpir",
            {
                "type": "number",
                "minimum": 1e-9,
                "maximum": 0.5,
                "default": 0.001,
                "description": "Share of probes of strangers that may find somebody.",
            },
        ),
        ValueField(
            EVIDENCE.name,
            EVIDENCE.schema
            | {"description": f"{EVIDENCE.schema['description']} Needs the role {ENROLL}."},
        ),
    ),
)


def add_routes(app: FastAPI) -> None:
    """Declare the routes."""

    def add(method: str, path: str, endpoint: Callable, declared: dict[str, Any]) -> None:
        app.add_api_route(path, endpoint, methods=[method], tags=["gallery"], **declared)

    add("POST", "/api/enroll", enroll, described(ENROLL, replies.ENROLLED, ENROLL_FORM))
    add("POST", "/api/search", search, described(MATCH, replies.FOUND, SEARCH_FORM))
    add("GET", "/api/subjects", subjects, described(ENROLL, replies.SUBJECTS))
    one = "/api/subjects/{id:path}"
    add("GET", one, subject, described(ENROLL, replies.SUBJECT))
    add("DELETE", one, remove, described(ADMIN, replies.REMOVED))


async def enroll(request: Request) -> Response:
    """Enrol prints, and return the outcome for each: enrolled, known, or refused with a reason."""
    return await _worked(request, ENROLL_FORM, gallery_work.enrolled)


async def search(request: Request) -> Response:
    """Search the gallery for a print's finger: return candidates with rates, and who was found."""

    def work(gallery: Any, given: Given, limits: Limits) -> dict[str, Any]:
        # The evidence shows the prints of all candidates, found or not: only enrollers may see it.
        if given.values[EVIDENCE.name]:
            require_role(request, ENROLL)
        return gallery_work.searched(gallery, given, limits)

    return await _worked(request, SEARCH_FORM, work)


async def subjects(
    request: Request,
    after: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """List who is enrolled, in the order of their names."""
    return await _asked(request, lambda gallery: gallery_work.subjects(gallery, after, limit))


async def subject(request: Request, id: str) -> Response:
    """List the prints of a subject, or the one of an id."""
    return await _asked(request, lambda gallery: gallery_work.subject(gallery, id))


async def remove(
    request: Request,
    id: str,
    finger: Annotated[str, Query(max_length=200)] = "",
    purge: bool = False,
) -> Response:
    """Remove a subject's prints, perhaps of one finger alone, or the print of an id.

    Older versions of the gallery hold them until ``purge``.
    """
    return await _asked(request, lambda gallery: gallery_work.removed(gallery, id, finger, purge))


def _gallery(request: Request) -> Any:
    gallery = request.app.state.service.gallery
    if gallery is None:
        raise ServiceError("no_gallery", "this service keeps no gallery")
    return gallery


async def _worked(request: Request, form: Form, work: Callable) -> Response:
    service, gallery = request.app.state.service, _gallery(request)

    def of(given: Given) -> dict[str, Any]:
        return work(gallery, given, service.limits)

    return await worked(request, service.gallery_workers, form, of)


async def _asked(request: Request, work: Callable[[Any], dict[str, Any]]) -> Response:
    service, gallery = request.app.state.service, _gallery(request)
    return await asked(request, service.gallery_workers, lambda: work(gallery))
