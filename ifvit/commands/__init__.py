"""The verbs of ``ifvit``: one file each, named after the verb, with its options and its work.

A verb's file has ``Settings``, the dataclass from which its options are made, and ``run``, which
takes an instance; where there are ``PRESETS``, ``--preset`` chooses among them. A file is imported
when its verb is used. The files that several verbs share are in :data:`SHARED`.
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
        """Do the work of the verb."""


def command(verb: str) -> Command:
    """Import the file of a verb. Raises ValueError, which lists the verbs, for an unknown one."""
    if verb not in COMMANDS:
        raise ValueError(f"unknown command {verb!r}: expected one of {', '.join(COMMANDS)}")
    return cast("Command", import_module(f"ifvit.commands.{verb.replace('-', '_')}"))
