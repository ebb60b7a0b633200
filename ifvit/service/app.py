"""The service: the state that all requests share, and the FastAPI application that answers them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from ifvit.matcher import Matcher
from ifvit.service import gallery_routes, page_routes, pair_routes
from ifvit.service.access import Keys, check_access
from ifvit.service.faults import ServiceError
from ifvit.service.limits import Limits
from ifvit.service.routing import NOBODY_LISTENS
from ifvit.service.shield import Shield
from ifvit.service.watch import Metrics, Watch
from ifvit.service.workers import Workers


@dataclass
class Service:
    """The state that all requests share. ``gallery`` is a :class:`ifvit.Gallery`, if any."""

    matcher: Matcher
    gallery: Any = None
    keys: Keys | None = None
    limits: Limits = field(default_factory=Limits)
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Make the workers; their threads start with the first work that they get."""
        limits = self.limits
        self.workers = Workers(limits.threads, limits.waiting, limits.request_s)
        # A gallery is used by one thread at a time, and its searches have threads of their own.
        self.gallery_workers = Workers(1, limits.waiting, limits.request_s)
        self.metrics = Metrics({"prints": self.workers, "gallery": self.gallery_workers})


def create_app(service: Service) -> FastAPI:
    """Return the application of a service."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.workers.close()
        service.gallery_workers.close()

    app = FastAPI(
        title="ifvit",
        summary="Fingerprint recognition that shows its reasons.",
        version=version("ifvit"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(check_access)],
        lifespan=lifespan,
    )
    app.state.service = service
    for routes in (page_routes, pair_routes, gallery_routes):
        routes.add_routes(app)
    app.add_exception_handler(ServiceError, _answer_fault)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.add_exception_handler(RequestValidationError, _answer_values)
    _stand_before(app, service)
    return app


def _stand_before(app: FastAPI, service: Service) -> None:
    """Add the layers that every request passes, the outermost last."""
    app.add_middleware(
        Shield,
        hosts=service.hosts,
        origins=service.origins,
        body_bytes=service.limits.body_bytes,
    )
    if service.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=service.origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    app.add_middleware(Watch, metrics=service.metrics)


async def _answer_fault(_: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return error.response()


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404:
        return ServiceError("not_found", f"there is nothing at {path}").response()
    if error.status_code == 405:
        wrong = f"{path} does not take {request.method}"
        return ServiceError("wrong_method", wrong, error.headers).response()
    return ServiceError("bad_request", str(error.detail)).response()


async def _answer_nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=NOBODY_LISTENS)


async def _answer_values(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = " ".join(map(str, first["loc"]))
    return ServiceError("bad_value", f"{where}: {first['msg']}").response()
