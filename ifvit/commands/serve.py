"""The command that answers by HTTP: a page, and the same for programs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ifvit.commands.gallery import GalleryArgs, opened
from ifvit.endings import flushed
from ifvit.matcher import Matcher
from ifvit.weights.pretrained import module_files


@dataclass(frozen=True)
class ServeArgs:
    """Show a page on which prints are compared, and answer the same by HTTP and JSON."""

    gallery: str | None = None
    """Folder of a gallery to enrol into and to search, made if there is none."""
    host: str = "127.0.0.1"
    """Address to listen at. Any but this machine's own needs ``--token-file``."""
    port: int = 8080
    token_file: str | None = None
    """Who may do what: a line ``ROLE TOKEN`` each, where the role is match, enroll or admin."""
    allowed_host: tuple[str, ...] = ()
    """Names under which the service is reached, beside its addresses and localhost."""
    cors_origin: tuple[str, ...] = ()
    """Origins of other pages that may use the service, such as https://example.org."""
    threads: int | None = None
    """Requests that are worked on at the same time; as many as there are cores if not given."""
    waiting: int = 32
    """Requests that wait; the next one is told to come back."""
    key_file: str | None = None
    """Key of an encrypted gallery; if not given, that of IFVIT_GALLERY_KEY."""
    dense_ckpt: str | None = None
    """Both checkpoints of a training; if not given, the weights that ship with ifvit."""
    matcher_ckpt: str | None = None


def run_serve(args: ServeArgs) -> None:
    """Load the models, open the gallery, and answer."""
    try:
        from ifvit.service.access import Keys
        from ifvit.service.serving import check_address, listening, serve
    except ImportError as error:
        raise ValueError(
            f"a service needs FastAPI and uvicorn, which cannot be imported ({error}): "
            "pip install 'ifvit[serve]'"
        ) from error
    _check(args)
    check_address(args.host, args.token_file is not None)
    keys = None if args.token_file is None else Keys.read(args.token_file)
    module_files(args.dense_ckpt, args.matcher_ckpt)
    with listening(args.host, args.port) as listens:
        service = _service(args, keys)
        listens.listen()  # who reads the line below may ask at once
        host = f"[{args.host}]" if ":" in args.host else args.host
        print(f"ifvit answers at http://{host}:{listens.getsockname()[1]}/")
        if keys is None:
            print("No tokens are asked for: this machine alone can reach it, and everybody on it")
        flushed()
        serve(service, args.host, listens)


def _service(args: ServeArgs, keys: Any) -> Any:
    """Load the models and open the gallery."""
    from ifvit.service.app import Service
    from ifvit.service.limits import Limits

    matcher = Matcher.from_checkpoints(args.dense_ckpt, args.matcher_ckpt)
    gallery = None
    if args.gallery is not None:
        gallery = opened(GalleryArgs(args.gallery, args.key_file), create=True, matcher=matcher)
    counts = {"waiting": args.waiting} | ({"threads": args.threads} if args.threads else {})
    hosts = args.host, *args.allowed_host
    return Service(matcher, gallery, keys, Limits(**counts), hosts, args.cors_origin)


def _check(args: ServeArgs) -> None:
    if not 0 <= args.port <= 65535:
        raise ValueError(f"--port {args.port}: expected 0 to 65535")
    for name, value, least in (("threads", args.threads, 1), ("waiting", args.waiting, 0)):
        if value is not None and value < least:
            raise ValueError(f"--{name} {value}: expected at least {least}")
    for origin in args.cors_origin:
        if not re.fullmatch(r"https?://[\w.-]+(:\d+)?|https?://\[[\da-f:]+\](:\d+)?", origin):
            raise ValueError(
                f"--cors-origin {origin}: expected the origin of a page, such as "
                "https://example.org"
            )
