"""What each verb of ``ifvit`` takes, and what it does with it: a file each, by the verb's name.

A file of a verb has ``Settings``, the dataclass that its options are read from, and ``run``, which
is given one; where there are ``PRESETS``, ``--preset`` chooses among them. It is imported when its
verb is asked for. The files that several verbs share are in :data:`SHARED`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, cast, runtime_checkable

from ifvit.verbs import VERBS

COMMANDS = tuple(verb for group in VERBS.values() for verb in group)

SHARED = ("compiled", "galleries", "next_step", "options")


@runtime_checkable
class Command(Protocol):
    """A file of a verb."""

    Settings: type

    def run(self, settings: Any, /) -> None:
        """Do it."""


def command(verb: str) -> Command:
    """Import the file of a verb. Raises ValueError that lists the verbs for one that is none."""
    if verb not in COMMANDS:
        raise ValueError(f"unknown command {verb!r}: expected one of {', '.join(COMMANDS)}")
    return cast("Command", import_module(f"ifvit.commands.{verb.replace('-', '_')}"))
