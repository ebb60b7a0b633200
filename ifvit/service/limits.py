"""The limits of a service: sizes, counts and seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from ifvit.data.store import cores


@dataclass(frozen=True)
class Limits:
    """The limits of a service; a request beyond one is refused, with the limit named."""

    body_bytes: int = 10_000_000
    """Bytes of one request, counted while it is read."""
    pixels: int = 8_000_000
    """Pixels of one print, in its file and at 500 ppi, known by its header before it is decoded."""
    prints: int = 32
    """Prints in one request."""
    evidence: int = 4
    """Results of one answer that carry evidence, each with three pictures of up to ``pixels``."""
    threads: int = field(default_factory=cores)
    """Threads that compare prints at the same time."""
    waiting: int = 32
    """Requests that wait for a thread; the next one is refused."""
    connections: int = 512
    """Connections that are open at the same time, whatever they do."""
    upload_s: float = 30.0
    """Seconds within which a request must have arrived."""
    request_s: float = 60.0
    """Seconds within which a request is answered, once it has arrived."""
