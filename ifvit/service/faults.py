"""The errors that a service answers: a code, one line, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse

from ifvit.texts import shortened

KINDS: dict[str, tuple[int, str]] = {
    "bad_request": (400, "send the request as /api/openapi.json describes it"),
    "unknown_host": (400, "use the address itself, or start the service with --allowed-host NAME"),
    "no_token": (401, "send the header `Authorization: Bearer TOKEN`"),
    "wrong_token": (401, "ask the operator of the service for a token"),
    "lesser_token": (403, "use a token of the role that the message names"),
    "wrong_origin": (403, "use the service's own page, or start it with --cors-origin ORIGIN"),
    "not_found": (404, "look up the paths in /api/openapi.json"),
    "no_gallery": (404, "start the service with --gallery FOLDER"),
    "nobody": (404, "look up who is enrolled at /api/subjects"),
    "wrong_method": (405, "use a method that the header Allow names"),
    "too_slow": (408, "send the request again, over a faster connection"),
    "too_large": (413, "send fewer or smaller prints; 8-bit grey PNG at 500 ppi is enough"),
    "wrong_type": (415, "send multipart/form-data or application/json"),
    "bad_value": (422, "correct the field that the message names"),
    "unusable_print": (422, "send another image of the print that the message names"),
    "gallery_refused": (409, "send the request again later; the log of the service says why"),
    "unforeseen": (500, "look at the log of the service, and report it"),
    "gallery_failed": (500, "tell the operator of the service, whose log says why"),
    "busy": (503, "send the request again after the seconds of the header Retry-After"),
    "out_of_time": (503, "send fewer prints at once, or the request again later"),
}
"""Code of a fault: the HTTP status, and what to do about it."""


class ServiceError(Exception):
    """An error that a service answers instead of a result."""

    def __init__(self, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        """Take a code of :data:`KINDS`, and a line: what, where, and what was expected."""
        super().__init__(message)
        self.code, self.message, self.headers = code, message, dict(headers or {})

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return KINDS[self.code][0]

    def response(self) -> JSONResponse:
        """Return the answer: ``{"error": {"code", "message", "what_to_do"}}``."""
        # Half a surrogate pair of UTF-16, which JSON can hold, cannot be sent as text.
        message = self.message.encode("utf-8", "backslashreplace").decode()
        error = {
            "code": self.code,
            "message": shortened(message),
            "what_to_do": KINDS[self.code][1],
        }
        return JSONResponse({"error": error}, self.status, self.headers)
