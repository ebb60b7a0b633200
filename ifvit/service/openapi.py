"""The API as it describes itself (OpenAPI 3.1): paths, roles, answers, and every kind of error."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ifvit.service.access import OPEN, ROLE_KEY
from ifvit.service.faults import KINDS
from ifvit.service.replies import ERROR

ABOUT = """Compare fingerprints, with the evidence; enrol and search where there is a gallery.

Prints are PNG, TIFF, BMP, JPEG, JPEG 2000, PGM, GIF, WebP or WSQ files, ridges dark,
of 500 ppi if nothing else is said.
Positions in answers are (x, y) in pixels of the whole prints at 500 ppi. Errors are
`{"error": {"code", "message", "what_to_do"}}`."""


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the description of an application, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=ABOUT,
            routes=app.routes,
        )
        for path in made["paths"].values():
            for operation in path.values():
                _complete(operation)
        made["components"] = {
            "schemas": {"Error": ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        }
        app.openapi_schema = made
    return app.openapi_schema


def _complete(operation: dict[str, Any]) -> None:
    """Add to an operation the role that it needs, and the errors that it can answer."""
    answers = {code: one for code, one in operation["responses"].items() if code == "200"}
    role = operation[ROLE_KEY]
    if role != OPEN:
        operation["security"] = [{"token": []}]
        operation["description"] += f"\n\nNeeds the role {role}, where the service uses tokens."
    for status in sorted({status for status, _ in KINDS.values()}):
        codes = [code for code, (its, _) in KINDS.items() if its == status]
        answers[str(status)] = {
            "description": ", ".join(codes),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        }
    operation["responses"] = answers
