"""A server that runs commands in processes of their own, which are killed at any moment.

``python tests/killed_commands.py`` reads a line of JSON for each: ``argv``; ``said``, a file for
what it prints; ``step``, the number of the file that it makes, renames or removes at which it is
killed, 0 for none; and ``after``, seconds until then, or null. It answers with how the process
ended. Each is forked from this one, which has imported what takes long and run nothing.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRELOADED = (
    *("numpy", "cv2", "onnxruntime", "matplotlib.figure", "jax", "flax.nnx", "optax"),
    *("ifvit.commands", "ifvit.evaluation.evaluate", "ifvit.gallery.template"),
    *("ifvit.weights.convert", "ifvit.synthesis.dataset", "ifvit.training.dense"),
)

STEPS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree")
"""Events that change a folder (Python's table of audit events); opening to write is another."""


def kill_at(step: int) -> None:
    """Kill this process at the ``step``-th change of a folder or opening of a file to write."""
    seen = 0

    def count(event: str, given: tuple[Any, ...]) -> None:
        nonlocal seen
        writes = event == "open" and isinstance(given[2], int) and given[2] & 3
        if writes or event in STEPS:
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def run(argv: list[str], said: str, step: int) -> int:
    """Run a command in this process, which is a child."""
    from ifvit.cli import main

    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    if step:
        kill_at(step)
    try:
        return main(argv)
    except SystemExit as error:
        return int(error.code or 0)
    finally:
        sys.stdout.flush()


def serve() -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        after = asked.pop("after")
        child = os.fork()
        if not child:
            os._exit(run(**asked))
        # Only who has started a process can tell that its number is still its own.
        ended = os.waitpid(child, 0) if after is None else waited_for(child, after)
        print(os.waitstatus_to_exitcode(ended[1]), flush=True)


def waited_for(child: int, seconds: float) -> tuple[int, int]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (ended := os.waitpid(child, os.WNOHANG))[0]:
            return ended
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)


@dataclass
class Killer:
    """Commands run and killed, by a seed."""

    server: subprocess.Popen
    draw: random.Random
    folder: Path
    kills: int = 0

    def run(self, argv: list[str], step: int = 0, after: float | None = None) -> tuple[int, str]:
        """Run a command; return how it ended, negative for a kill, and all that it had printed."""
        said = self.folder / "said"
        said.write_bytes(b"")
        asked = {"argv": list(map(str, argv)), "said": str(said), "step": step, "after": after}
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.stdin.write(json.dumps(asked) + "\n")
        self.server.stdin.flush()
        code = int(self.server.stdout.readline())
        self.kills += code == -signal.SIGKILL
        return code, said.read_text(encoding="utf-8")

    def kill(self, argv: list[str], steps: int, seconds: float) -> tuple[int, str]:
        """Run a command and kill it: at one of its first steps, or within so many seconds."""
        if self.draw.random() < 0.6:
            return self.run(argv, step=self.draw.randint(1, steps))
        return self.run(argv, after=self.draw.uniform(0, seconds))


if __name__ == "__main__":
    serve()
