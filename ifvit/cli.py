"""The command line: ``ifvit VERB``, whose options are the fields of a dataclass, read by tyro.

Every error is one line on standard error and exit code 2 (:mod:`ifvit.endings`). The verb is looked
up here and not by tyro's subcommands: these would import the settings of every verb, and with them
the numeric libraries, to show the help of one. JAX is imported only by the verbs that need it.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from ifvit.endings import OneLine, exit_code, flushed, take_over
from ifvit.files import guarded
from ifvit.verbs import usage

EXTRA_OF = dict.fromkeys(("jax", "flax", "optax", "orbax", "onnx"), "train") | {
    "matplotlib": "plots"
}
"""Packages that a plain installation lacks, and the extra that brings each."""

NARROWEST = 40
"""Columns of the narrowest terminal that help is laid out for."""

OUTPUTS = ("out", "output", "stages", "checkpoint_dir")
"""Fields that name files a command writes; all other fields with files name those it reads."""


def parse(verb: str, arguments: list[str]) -> Any:
    """Parse a verb's arguments to its settings. Exits with code 2 for wrong ones.

    Raises ValueError for a verb or a preset that does not exist.
    """
    with _wide_enough():
        return _parsed(verb, arguments)


@contextmanager
def _wide_enough() -> Iterator[None]:
    """Let a narrow terminal count as one of 40 columns: below ten, tyro breaks lines for ever."""
    kept = os.environ.get("COLUMNS")
    if shutil.get_terminal_size().columns < NARROWEST:
        os.environ["COLUMNS"] = str(NARROWEST)
    try:
        yield
    finally:
        os.environ.pop("COLUMNS", None)
        if kept is not None:
            os.environ["COLUMNS"] = kept


def _parsed(verb: str, arguments: list[str]) -> Any:
    import tyro

    from ifvit.commands import command

    found = command(verb)
    presets: dict[str, Any] | None = getattr(found, "PRESETS", None)
    asked = found.Settings if presets is None else _of_preset(found.Settings, presets, arguments)
    parsed: Any = tyro.cli(
        asked,
        args=arguments,
        prog=f"ifvit {verb}",
        description=found.Settings.__doc__,
        config=(tyro.conf.PositionalMetavarFromFieldName, tyro.conf.DisallowNone),
    )
    if presets is None:
        return parsed
    groups = dataclasses.fields(found.Settings)
    return found.Settings(**{group.name: getattr(parsed, group.name) for group in groups})


def _of_preset(cls: Any, presets: dict[str, Any], arguments: list[str]) -> Any:
    """Parse the settings of a verb with presets: ``--preset``, and the groups that it sets.

    The options of a group are shown together, and have the names of their settings alone.
    """
    from tyro.conf import OmitArgPrefixes, arg

    from ifvit.config import NAMED_BY_GROUP
    from ifvit.presets import preset

    name = _chosen(arguments)
    about = "Set all values that are not given to those of this preset."
    names = Annotated[Literal[tuple(presets)], arg(help=about)]  # type: ignore[valid-type]
    asked: list[Any] = [("preset", names, name)]
    for group, kind in get_type_hints(cls).items():
        shown = kind if group in NAMED_BY_GROUP else Annotated[kind, OmitArgPrefixes]
        asked.append((group, shown, getattr(preset(presets, name), group)))
    return dataclasses.make_dataclass("WithPreset", asked, frozen=True)


@dataclasses.dataclass(frozen=True)
class _Preset:
    preset: str = "paper"


def _chosen(arguments: list[str]) -> str:
    """Return the value of ``--preset``, wherever it stands; an empty text if it has no value.

    The defaults of all other options depend on it, so that it has to be known first.
    """
    import tyro

    silent: dict[str, Any] = {"add_help": False, "console_outputs": False}
    try:
        found, _ = tyro.cli(_Preset, args=arguments, return_unknown_args=True, **silent)
    except SystemExit:
        return ""
    return found.preset


def read_by(settings: Any) -> Iterator[Path]:
    """Yield the files that a verb reads, by its settings."""
    for one in dataclasses.fields(settings):
        value = getattr(settings, one.name)
        if dataclasses.is_dataclass(value):
            yield from read_by(value)
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
    # Only now: a verb's file loads numeric libraries.
    from ifvit.commands import command
    from ifvit.commands.compiled import keep_compiled

    verb = arguments.pop(0)
    _log_in_lines()
    settings = parse(verb, arguments)
    keep_compiled()
    try:
        with guarded(read_by(settings)):
            command(verb).run(settings)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in EXTRA_OF:
            raise ValueError(
                f"`ifvit {verb}` needs the package {package}, which a plain "
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
