"""WSQ and JPEG 2000 decoded in a separate process.

The FBI's decoder of WSQ, in C, writes beyond its memory when a file is damaged, and the process
that calls it ends, or worse; OpenJPEG, for JPEG 2000, has had such faults too. In a process of its
own a decoder cannot harm the rest.
"""

from __future__ import annotations

import signal
import subprocess  # nosec B404
import sys
from contextlib import suppress
from pathlib import Path

from PIL import Image

from ifvit.data.damage import PrintError

APART = ("WSQ", "JPEG2000")
"""Formats, by Pillow's names, that are decoded in a separate process."""

SECONDS = 20
"""Time limit in seconds: four times what a grey file of the largest size takes."""

DECODE = """
import io, sys
try:
    import resource
    for limit, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, 1 << 30)):
        resource.setrlimit(limit, (most, most))
except ImportError:  # not a Unix
    pass
kind = sys.argv[1]
if kind == "WSQ":
    import wsq
from PIL import Image
image = Image.open(io.BytesIO(sys.stdin.buffer.read()), formats=(kind,))
if image.mode not in ("L", "I;16", "LA", "RGB", "RGBA"):
    image = image.convert("RGB")
data = image.tobytes()
sys.stdout.buffer.write(image.mode.encode() + b"\\n" + data)
"""

SAMPLES = {"L": 1, "I;16": 2, "LA": 2, "RGB": 3, "RGBA": 4}
"""Bytes per pixel in each mode that the process returns."""


def decoded(data: bytes, kind: str, size: tuple[int, int], path: str | Path) -> Image.Image:
    """Return the picture in a file of format ``kind``, whose header gives the ``size`` (width,
    height).

    Raises :class:`PrintError` for a file that cannot be decoded, even where the decoder crashes.
    """
    command = [sys.executable, "-I", "-c", DECODE, kind]
    try:
        # No shell is used, and the command contains nothing of the file.
        done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS)  # nosec B603
    except subprocess.TimeoutExpired as error:
        raise _damaged(path, f"no end within {SECONDS} s") from error
    if done.returncode:
        raise _damaged(path, _reason(done))
    name, _, pixels = done.stdout.partition(b"\n")
    mode = name.decode("ascii", "replace")
    if mode not in SAMPLES or len(pixels) != size[0] * size[1] * SAMPLES[mode]:
        raise _damaged(path, "another size than its header says")
    return Image.frombytes(mode, size, pixels)


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode < 0:
        with suppress(ValueError):
            return f"its decoder ended by {signal.Signals(-done.returncode).name}"
    last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return last[-150:] or f"its decoder ended with code {done.returncode}"


def _damaged(path: str | Path, reason: str) -> PrintError:
    return PrintError(
        f"{path} cannot be decoded ({reason}): expected an undamaged WSQ or JPEG 2000 file; "
        "copy or export it again"
    )
