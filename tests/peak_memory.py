"""The most memory that this process took, for tests of what refuses to take more."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def peak(*, anew: bool = False) -> int:
    """Return the most memory of this process in kB, since it was last counted ``anew``.

    What getrusage tells never falls: after one heavy test it would hide what others take.
    """
    if anew:
        with suppress(OSError):  # where /proc cannot be written to it may hide some
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
