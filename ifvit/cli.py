"""The command line: ``ifvit COMMAND``, a shadow of the configuration dataclasses.

Every error is one line on standard error and exit code 2 (:mod:`ifvit.endings`). What needs JAX is
imported once that is in place.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ifvit.endings import OneLine, exit_code, flushed, take_over
from ifvit.files import guarded
from ifvit.verbs import usage

EXTRA_OF = dict.fromkeys(("jax", "flax", "optax", "orbax", "onnx"), "train") | {
    "matplotlib": "plots"
}
"""Packages that a plain installation lacks, and the extra that brings each."""

OUTPUTS = ("out", "output", "stages", "checkpoint_dir")
"""Fields that name what a command writes; all others that name files are what it reads."""


def _take_preset(arguments: list[str], known: dict[str, Any]) -> Any:
    """Remove ``--preset NAME`` from the arguments and return that preset; ``paper`` without it."""
    from ifvit.presets import preset

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
    from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS

    presets: dict[str, dict[str, Any]] = {
        "train-dense": DENSE_PRESETS,
        "train-match": MATCH_PRESETS,
    }
    cls, _ = COMMANDS[command]
    options: dict[str, Any] = {}
    if command in presets:
        options["default"] = _take_preset(arguments, presets[command])
        names = ", ".join(sorted(presets[command]))
        about = inspect.cleandoc(cls.__doc__ or "")
        options["description"] = f"{about}\n\n--preset NAME first sets all values: {names}."
    return tyro.cli(cls, args=arguments, prog=f"ifvit {command}", **options)


def read_by(settings: Any) -> Iterator[Path]:
    """Yield the files that a command's settings name to be read."""
    for one in dataclasses.fields(settings):
        value = getattr(settings, one.name)
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and text and one.name not in OUTPUTS:
                yield Path(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    if argv is None:
        take_over()
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        flushed()
    except SystemExit:  # of wrong options, and of --help
        raise
    except BaseException as error:
        return exit_code(error)
    return code


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["--version"]:
        from importlib.metadata import version

        print(f"ifvit {version('ifvit')}")
        return 0
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    # Only now: the commands load numeric libraries.
    from ifvit.commands import COMMANDS
    from ifvit.commands.compiled import keep_compiled

    command = arguments.pop(0)
    _log_in_lines()
    if command not in COMMANDS:
        raise ValueError(f"unknown command {command!r}: expected one of {', '.join(COMMANDS)}")
    settings = parse(command, arguments)
    keep_compiled()
    try:
        with guarded(read_by(settings)):
            COMMANDS[command][1](settings)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in EXTRA_OF:
            raise ValueError(
                f"`ifvit {command}` needs the package {package}, which a plain "
                f"installation lacks: pip install 'ifvit[{EXTRA_OF[package]}]'"
            ) from error
        raise
    return 0


def _log_in_lines() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.setFormatter(OneLine())
    logging.getLogger("ifvit").setLevel(logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
