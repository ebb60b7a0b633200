"""The server: an address and a port that answer by the application, until it is stopped."""

from __future__ import annotations

import ipaddress
import logging
import socket

import uvicorn

from ifvit.service.app import Service, create_app

STOPPING_S = 5
"""Seconds within which running requests are still answered, once the service is told to end."""


def is_own_machine(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_address(host: str, has_tokens: bool) -> None:
    """Raise ValueError for an address that others reach, where there are no tokens."""
    if not has_tokens and not is_own_machine(host):
        raise ValueError(
            f"--host {host} is reached by other machines, and everybody there could compare, enrol "
            "and remove: expected --token-file FILE with it, of lines `ROLE TOKEN`"
        )


def listening(host: str, port: int) -> socket.socket:
    """Return a socket of an address and a port; raises OSError that says why there is none."""
    made: socket.socket | None = None
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        if made is not None:
            made.close()
        reason = error.strerror or error
        raise OSError(
            error.errno,
            f"cannot listen at {host}, port {port} ({reason}): expected an address of this machine "
            "and a free port; give another --port",
        ) from error
    return made


def server_of(service: Service) -> uvicorn.Server:
    """Return the server of a service, which gets its sockets when it runs."""
    # Errors in a form go to the client that sent it.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    config = uvicorn.Config(
        create_app(service),
        access_log=False,
        server_header=False,
        log_level="warning",
        proxy_headers=False,
        ws="none",
        limit_concurrency=service.limits.connections,
        timeout_graceful_shutdown=STOPPING_S,
    )
    return uvicorn.Server(config)


def serve(service: Service, host: str, made: socket.socket) -> None:
    """Answer requests at a socket until the process is told to end; raises as ``check_address``."""
    check_address(host, service.keys is not None)
    server_of(service).run(sockets=[made])
