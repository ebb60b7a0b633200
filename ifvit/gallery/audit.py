"""The audit log of a gallery: who was enrolled, searched and removed, when and by whom.

Each action is a line of JSON in ``audit.jsonl`` of the gallery's folder, mode 0600. The log holds
ids, subjects and names, and nothing biometric. This package only appends lines, and never changes
them.
"""

from __future__ import annotations

import getpass
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ifvit.gallery.engine import is_remote

AUDIT_FILE = "audit.jsonl"


def now() -> str:
    """Return the time, UTC, as ISO 8601 says, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def log(uri: str, action: str, **values: Any) -> None:
    """Append a line; a gallery that is no local folder has no log.

    Each line is a single write, so that the lines of two processes do not mix. Raises OSError.
    """
    if is_remote(uri):
        return
    line = json.dumps({"time": now(), "user": _user(), "action": action, **values}) + "\n"
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(Path(uri) / AUDIT_FILE, flags, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return str(os.getuid()) if hasattr(os, "getuid") else ""
