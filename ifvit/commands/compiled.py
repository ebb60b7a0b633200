"""Compiled programs kept on disk, so that a command's second start does not compile them again."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path

from ifvit.cache import cache_folder, key_of, private_folder

PLACE = "JAX_COMPILATION_CACHE_DIR"

SHORTEST = 0.2
"""Shortest time of compilation, in seconds, for which a program is kept."""


PROMOTION = {"JAX_NUMPY_DTYPE_PROMOTION": "standard", "JAX_NUMPY_RANK_PROMOTION": "allow"}
"""The settings of :mod:`ifvit.jax_settings` for a whole process, as environment variables."""


def keep_compiled() -> None:
    """Let JAX keep compiled programs in the user's cache, or in ``JAX_COMPILATION_CACHE_DIR``.

    Where the folder cannot be written to, or with ``IFVIT_CACHE=off``, programs are compiled at
    each start; a damaged file is compiled anew.
    """
    os.environ.update({name: usual for name, usual in PROMOTION.items() if name in os.environ})
    folder = cache_folder()
    if folder is None or os.environ.get(PLACE):
        return
    # Programs for one kind of processor can end in an illegal instruction on another, and home
    # directories are shared.
    place = folder / "compiled" / key_of(platform.machine(), _features())
    try:
        # The folder is private from the start: prints will be kept in the same cache.
        private_folder(place, folder)
        (place / ".writable").touch()
    except OSError:
        return
    # JAX reads them when it is imported, which only some commands do.
    os.environ[PLACE] = str(place)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", str(SHORTEST))


def _features() -> str:
    """Return the processor's instruction sets, as far as the system lists them."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("flags", "Features")):
                return line
    return platform.processor()
