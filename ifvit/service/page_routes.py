"""The page and what belongs to it, and whether the service is well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from ifvit.service.access import OPEN
from ifvit.service.faults import ServiceError
from ifvit.service.routing import described

router = APIRouter()

FOLDER = Path(__file__).with_name("page")

KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}

PAGE = {path.name: path for path in FOLDER.iterdir() if path.suffix in KINDS}
"""The files of the page by name: a name from outside is looked up here, and opens nothing."""


@router.get("/", include_in_schema=False, **described(OPEN))
async def page() -> Response:
    """Return the page."""
    return _file("index.html")


@router.get("/page/{name}", include_in_schema=False, **described(OPEN))
async def page_file(name: str) -> Response:
    """Return a file of the page."""
    return _file(name)


@router.get("/health", **described(OPEN))
async def health(request: Request) -> dict[str, Any]:
    """Say that the service is there, and whether it keeps a gallery and asks for tokens."""
    service = request.app.state.service
    return {
        "status": "ok",
        "gallery": service.gallery is not None,
        "tokens": service.keys is not None,
    }


def _file(name: str) -> Response:
    if name not in PAGE:
        raise ServiceError("not_found", f"the page has no file {name!r}")
    path = PAGE[name]
    return FileResponse(path, media_type=KINDS[path.suffix])
