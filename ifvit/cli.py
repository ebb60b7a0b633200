"""The command line: ``ifvit COMMAND``, a shadow of the configuration dataclasses.

Every error that a user can cause is one line on standard error and exit code 2.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS, preset
from ifvit.verbs import usage

PRESETS: dict[str, dict[str, Any]] = {"train-dense": DENSE_PRESETS, "train-match": MATCH_PRESETS}


def _take_preset(arguments: list[str], known: dict[str, Any]) -> Any:
    """Remove ``--preset NAME`` from the arguments and return that preset; ``paper`` without it."""
    for index, word in enumerate(arguments):
        if word == "--preset" or word.startswith("--preset="):
            _, equals, name = word.partition("=")
            if not equals:
                name = "".join(arguments[index + 1 : index + 2])
            del arguments[index : index + (1 if equals else 2)]
            return preset(known, name)
    return preset(known, "paper")


def parse(command: str, arguments: list[str]) -> Any:
    """Parse a command's arguments to its dataclass. Exits with code 2 for wrong ones."""
    import tyro

    from ifvit.commands import COMMANDS

    cls, _ = COMMANDS[command]
    options: dict[str, Any] = {}
    if command in PRESETS:
        options["default"] = _take_preset(arguments, PRESETS[command])
        names = ", ".join(sorted(PRESETS[command]))
        options["description"] = f"{cls.__doc__} --preset NAME first sets all values: {names}."
    return tyro.cli(cls, args=arguments, prog=f"ifvit {command}", **options)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"ifvit {version('ifvit')}")
        return 0
    # Only now: the commands load JAX, which takes seconds.
    from ifvit.commands import COMMANDS
    from ifvit.commands.compiled import keep_compiled

    command = arguments.pop(0)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("ifvit").setLevel(logging.INFO)
    try:
        if command not in COMMANDS:
            raise ValueError(f"unknown command {command!r}: expected one of {', '.join(COMMANDS)}")
        settings = parse(command, arguments)
        keep_compiled()
        COMMANDS[command][1](settings)
    except (ValueError, OSError) as error:
        print(f"ifvit: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"ifvit: {stop.args[0] if stop.args else 'interrupted'}", file=sys.stderr)
        return getattr(stop, "exit_code", 130)
    return 0


if __name__ == "__main__":
    sys.exit(main())
