"""A check that refuses a setting with an error of one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def check(config: Any, names: str, fits: Callable[[Any], bool], expected: str) -> None:
    """Raise ValueError for the first of the named settings that does not fit.

    ``names`` are separated by blanks.
    """
    for name in names.split():
        if not fits(value := getattr(config, name)):
            raise ValueError(f"{name} is {value}: expected {expected}")
