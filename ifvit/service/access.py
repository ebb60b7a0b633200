"""Who may do what: tokens with roles, compared in constant time.

A token file has a line for each token: its role and the token. Without a token file everybody who
reaches the service may do everything, so it then accepts connections from its own machine only.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from fastapi import Request

from ifvit.service.faults import ServiceError
from ifvit.texts import read_text

logger = logging.getLogger("ifvit")

OPEN, MATCH, ENROLL, ADMIN = "open", "match", "enroll", "admin"
ROLES = (MATCH, ENROLL, ADMIN)
"""Each includes those before it: to compare and search, to enrol and see subjects, to remove."""

SHORTEST = 32
"""Fewest characters of a token: 128 bits where they are hexadecimal digits."""

ROLE_KEY = "x-role"
"""Key under which a route declares in OpenAPI the role that it needs."""

EXPECTED = "a line `ROLE TOKEN` for each token, made by `openssl rand -hex 32`"


class Keys:
    """The tokens of a service, as digests."""

    def __init__(self, tokens: Sequence[tuple[str, str]]) -> None:
        """Take pairs of a role and a token."""
        self._known = [(role, _digest(token)) for role, token in tokens]

    @classmethod
    def read(cls, path: str | Path) -> Keys:
        """Read a token file; raises FileNotFoundError, and ValueError that names the line."""
        tokens = []
        for number, line in enumerate(read_text(path, EXPECTED).splitlines(), 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            if len(words) != 2 or words[0] not in ROLES:
                roles = ", ".join(ROLES)
                raise ValueError(f"{path}, line {number}: expected a role ({roles}) and a token")
            if not re.fullmatch(rf"[\w.~+/=-]{{{SHORTEST},500}}", words[1], re.ASCII):
                raise ValueError(
                    f"{path}, line {number}: the token is shorter than {SHORTEST} characters, or "
                    "holds signs that a header cannot: make one by `openssl rand -hex 32`"
                )
            tokens.append((words[0], words[1]))
        if Path(path).stat().st_mode & 0o007:
            logger.warning("%s can be read by every user of this machine: chmod o= %s", path, path)
        if not tokens:
            raise ValueError(f"{path} holds no token: expected {EXPECTED}")
        return cls(tokens)

    def role(self, token: str) -> str | None:
        """Return the highest role of a token, None for an unknown one.

        The token is compared with all known tokens, each in constant time.
        """
        given, found = _digest(token), -1
        for role, digest in self._known:
            same = hmac.compare_digest(given, digest)
            found = max(found, ROLES.index(role) if same else -1)
        return ROLES[found] if found >= 0 else None

    def check(self, authorization: str, needed: str) -> None:
        """Raise :class:`ServiceError` where a header has no token of this role or above."""
        kind, _, token = authorization.strip().partition(" ")
        asks = {"WWW-Authenticate": "Bearer"}
        if kind.lower() != "bearer" or not token.strip():
            raise ServiceError("no_token", f"this needs a token of the role {needed}", asks)
        role = self.role(token.strip())
        if role is None:
            raise ServiceError("wrong_token", "the token is not one of this service", asks)
        if ROLES.index(role) < ROLES.index(needed):
            raise ServiceError(
                "lesser_token", f"the token is of the role {role}: expected {needed}"
            )


def role_of(route: object) -> str:
    """Return the role that a route needs: the highest one, where it declares none."""
    return str((getattr(route, "openapi_extra", None) or {}).get(ROLE_KEY, ADMIN))


async def check_access(request: Request) -> None:
    """Raise :class:`ServiceError` where a request lacks the role of its route; every route calls
    this."""
    require_role(request, role_of(request.scope.get("route")))


def require_role(request: Request, needed: str) -> None:
    """Raise :class:`ServiceError` where a request has no token of this role or above."""
    keys = request.app.state.service.keys
    if keys is not None and needed != OPEN:
        keys.check(request.headers.get("authorization", ""), needed)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
