"""The routes of the page, its examples, the API's description, and the state of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import FileResponse, JSONResponse, Response

from ifvit.config import REFERENCE_PPI
from ifvit.data.examples import example_prints
from ifvit.service import replies
from ifvit.service.access import MATCH, OPEN
from ifvit.service.faults import ServiceError
from ifvit.service.openapi import describe
from ifvit.service.routing import described

FOLDER = Path(__file__).with_name("page")

KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}

PAGE = {path.name: path for path in FOLDER.iterdir() if path.suffix in KINDS}
"""The files of the page by name: names in requests are looked up here and never open a file."""

EXAMPLES = {path.name: path for path in example_prints()}


def add_routes(app: FastAPI) -> None:
    """Declare the routes."""
    hidden = described(OPEN) | {"include_in_schema": False}
    app.add_api_route("/", page, **hidden)
    app.add_api_route("/page/{name}", page_file, **hidden)
    app.add_api_route("/health", health, tags=["service"], **described(OPEN, replies.HEALTH))
    seen = described(MATCH, replies.EXAMPLES)
    app.add_api_route("/api/examples", examples, tags=["prints"], **seen)
    one = described(MATCH) | {"response_class": Response}
    png: dict[int | str, Any] = {200: {"description": "A PNG.", "content": {"image/png": {}}}}
    app.add_api_route("/api/examples/{name}", example, tags=["prints"], responses=png, **one)
    text: dict[int | str, Any] = {200: {"description": "Text.", "content": {"text/plain": {}}}}
    app.add_api_route("/metrics", metrics, tags=["service"], responses=text, **one)
    app.add_api_route(
        "/api/openapi.json", openapi, tags=["service"], **described(MATCH, replies.ANY)
    )


async def page() -> Response:
    """Return the page."""
    return _file(PAGE, "index.html")


async def page_file(name: str) -> Response:
    """Return a file of the page."""
    return _file(PAGE, name)


async def health(request: Request) -> dict[str, Any]:
    """Return that the service is running, and whether it has a gallery and needs tokens."""
    service = request.app.state.service
    return {
        "status": "ok",
        "version": request.app.version,
        "gallery": service.gallery is not None,
        "tokens": service.keys is not None,
    }


async def examples() -> dict[str, Any]:
    """List synthetic prints to try the service with; prints with one number show one finger."""
    listed = [
        {"name": name, "finger": int(name.partition("_")[0]), "ppi": REFERENCE_PPI}
        for name in EXAMPLES
    ]
    return {"examples": listed}


async def example(name: str) -> Response:
    """Return a synthetic print, a PNG at 500 ppi."""
    return _file(EXAMPLES, name)


async def metrics(request: Request) -> Response:
    """Return the metrics, for Prometheus."""
    made = generate_latest(request.app.state.service.metrics.registry)
    return Response(made, media_type=CONTENT_TYPE_LATEST)


async def openapi(request: Request) -> Response:
    """Return this description."""
    return JSONResponse(describe(request.app))


def _file(files: dict[str, Path], name: str) -> Response:
    if name not in files:
        raise ServiceError("not_found", f"there is no file {name!r}")
    path = files[name]
    return FileResponse(path, media_type=KINDS.get(path.suffix, "image/png"))
