"""WSQ files decoded by a process of their own.

The decoder, the FBI's in C, writes beyond its memory when a file is damaged, and the process that
calls it ends, or worse. What a file does to it is kept from everything else here.
"""

from __future__ import annotations

import signal
import subprocess  # nosec B404
import sys
from contextlib import suppress
from pathlib import Path

from PIL import Image

from ifvit.data.damage import PrintError

SECONDS = 20
"""Within which a file of the largest size is decoded ten times over."""

DECODE = """
import io, sys
try:
    import resource
    for limit, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, 2 << 30)):
        resource.setrlimit(limit, (most, most))
except ImportError:  # not a Unix
    pass
import wsq
from PIL import Image
image = Image.open(io.BytesIO(sys.stdin.buffer.read()), formats=("WSQ",))
sys.stdout.buffer.write(image.tobytes())
"""


def decoded(data: bytes, size: tuple[int, int], path: str | Path) -> Image.Image:
    """Return the picture of a WSQ file, of the size (width, height) that its header tells.

    Raises :class:`PrintError` for a file that cannot be decoded, whatever it does to the decoder.
    """
    command = [sys.executable, "-I", "-c", DECODE]
    try:
        # No shell, and nothing of the file is in the command, which is this interpreter's.
        done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS)  # nosec B603
    except subprocess.TimeoutExpired as error:
        raise _damaged(path, f"no end within {SECONDS} s") from error
    if done.returncode:
        raise _damaged(path, _reason(done))
    if len(done.stdout) != size[0] * size[1]:
        raise _damaged(path, "another size than its header says")
    return Image.frombytes("L", size, done.stdout)


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode < 0:
        with suppress(ValueError):
            return f"its decoder ended by {signal.Signals(-done.returncode).name}"
    last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return last[-150:] or f"its decoder ended with code {done.returncode}"


def _damaged(path: str | Path, reason: str) -> PrintError:
    return PrintError(
        f"{path} cannot be decoded ({reason}): expected an undamaged WSQ file; copy or export it "
        "again"
    )
