"""A fingerprint of every setting that decides a score, beside the weights of both modules.

Settings are of two kinds: those that a matcher is made with, and constants in the code. The latter
are collected from the modules themselves, so that a new one cannot be forgotten: every number, and
every tuple of numbers, that has a name in capitals. The fingerprint does not depend on where in the
code a constant stands.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

METHOD = 2
"""A number to be raised where a changed step of the method changes scores, though no setting
does."""

ROOMS = ("geometry", "features", "registration", "comparison")
"""Rooms whose constants count. Those of the networks do not: their weights decide what they
compute, the sha256 of these stands beside the fingerprint, and a graph is written only where it
computes the same."""
FILES = ("config", "data.prints")


def fingerprint_of(settings: dict[str, Any], rooms: tuple[str, ...] = ROOMS) -> str:
    """Return the sha256 of settings, plain values for JSON, and of all constants beside them.

    ``rooms`` are those whose constants count.
    """
    everything = {"settings": settings, "constants": constants(rooms)}
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


@cache
def constants(rooms: tuple[str, ...] = ROOMS) -> dict[str, list[str]]:
    """Return, by name, the numbers with names in capitals of all modules that affect a score.

    Where two have one name, both are listed.
    """
    found: dict[str, set[str]] = {}
    for module in _modules(rooms):
        for name, value in vars(module).items():
            if name.isupper() and _numeric(value):
                found.setdefault(name, set()).add(repr(value))
    return {name: sorted(values) for name, values in sorted(found.items())}


def _modules(rooms: tuple[str, ...]) -> Iterator[ModuleType]:
    for name in FILES:
        yield import_module(f"ifvit.{name}")
    for room in rooms:
        package = import_module(f"ifvit.{room}")
        for entry in iter_modules(package.__path__):
            yield import_module(f"ifvit.{room}.{entry.name}")


def _numeric(value: Any) -> bool:
    if type(value) is tuple:
        return all(map(_numeric, value))
    return isinstance(value, int | float)
