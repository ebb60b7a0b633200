"""The server: an address and a port that answer by the application, until it is stopped."""

from __future__ import annotations

import ipaddress

import uvicorn

from ifvit.service.app import Service, create_app


def is_own_machine(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_address(host: str, has_tokens: bool) -> None:
    """Raise ValueError for an address that others reach, where there are no tokens."""
    if not has_tokens and not is_own_machine(host):
        raise ValueError(
            f"--host {host} is reached by other machines, and whoever reaches it could compare, "
            "enrol and remove: expected --token-file FILE with it, a line `ROLE TOKEN` each"
        )


def serve(service: Service, host: str, port: int) -> None:
    """Answer requests until the process is told to end."""
    check_address(host, service.keys is not None)
    uvicorn.run(
        create_app(service),
        host=host,
        port=port,
        access_log=False,
        server_header=False,
        log_level="warning",
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
