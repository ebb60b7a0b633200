"""NumPy's answers to underflow and the like as they usually are, whatever a program has set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def usual_float_errors() -> Iterator[None]:
    """Within this context, let NumPy ignore underflow and warn of the rest, in this thread.

    A program that raises errors for its own arrays (``np.seterr(all="raise")``) must be able to
    match prints, whose filters fall to zero at their ends. It can also decorate functions.
    """
    with np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"):
        yield
