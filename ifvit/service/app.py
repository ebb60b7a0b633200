"""The service: what all requests share, and the application of FastAPI that answers them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import Depends, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from ifvit.matcher import Matcher
from ifvit.service import page_routes, pair_routes
from ifvit.service.access import Keys, check_access
from ifvit.service.faults import ServiceError
from ifvit.service.limits import Limits
from ifvit.service.shield import Shield
from ifvit.service.workers import Workers

logger = logging.getLogger("ifvit")


@dataclass
class Service:
    """What all requests share."""

    matcher: Matcher
    gallery: Any = None
    keys: Keys | None = None
    limits: Limits = field(default_factory=Limits)
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Start no thread yet: each starts with the first work that it gets."""
        limits = self.limits
        self.workers = Workers(limits.threads, limits.waiting, limits.request_s)


def create_app(service: Service) -> FastAPI:
    """Return the application of a service."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.workers.close()

    app = FastAPI(
        title="ifvit",
        summary="Fingerprint recognition that shows its reasons.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(check_access)],
        lifespan=lifespan,
    )
    app.state.service = service
    for routes in (page_routes, pair_routes):
        app.include_router(routes.router)
    app.add_exception_handler(ServiceError, _answer_fault)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_unforeseen)
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
    return app


async def _answer_fault(_: Request, fault: Exception) -> Response:
    assert isinstance(fault, ServiceError)
    return fault.response()


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 404:
        return ServiceError("not_found", f"there is nothing at {path}").response()
    if error.status_code == 405:
        wrong = f"{path} does not take {request.method}"
        return ServiceError("wrong_method", wrong, error.headers).response()
    return ServiceError("bad_request", str(error.detail)).response()


async def _answer_unforeseen(_: Request, error: Exception) -> Response:
    # Neither what it says nor where it arose leaves the service: both can hold what was sent.
    return ServiceError("unforeseen", f"{type(error).__name__}: this was not foreseen").response()
