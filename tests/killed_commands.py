"""A server that runs commands in processes of their own, which are killed at any moment.

``python tests/killed_commands.py`` reads a line of JSON for each: ``argv``; ``said``, a file for
what it prints; ``step``, the number of the file that it makes, renames or removes at which it is
killed, 0 for none; and ``cpu``, seconds of computing at which it is, or null. It answers with how
the process ended, how many steps there were and what it computed, in seconds. Each is forked from
this one, which has imported what takes long and run nothing.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import subprocess
import sys
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

KILLED = (-signal.SIGKILL, -signal.SIGPROF)
"""How a process ends that is killed; by its clock of computing it is by a signal of its own."""


def kill_at(step: int, steps: Path) -> None:
    """Kill this process at the ``step``-th change of a folder or opening of a file to write.

    The steps are counted by the size of a file.
    """
    counted = os.open(steps, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    seen = 0

    def count(event: str, given: tuple[Any, ...]) -> None:
        nonlocal seen
        writes = event == "open" and isinstance(given[2], int) and given[2] & 3
        if writes or event in STEPS:
            seen += 1
            os.write(counted, b".")
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def run(argv: list[str], said: str, step: int, cpu: float | None) -> int:
    """Run a command in this process, which is a child."""
    from ifvit.cli import main

    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    kill_at(step, Path(said).with_name("steps"))
    if cpu is not None:
        # Computing, not time: as far on its way on a busy machine as on an idle one. Nothing is
        # told of the signal, and its default is to end the process on the spot.
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, max(cpu, 1e-3))
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
        child = os.fork()
        if not child:
            os._exit(run(**json.loads(line)))
        _, status, used = os.wait4(child, 0)
        print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, flush=True)


@dataclass
class Killer:
    """Commands run and killed, by a seed."""

    server: subprocess.Popen
    draw: random.Random
    folder: Path
    kills: int = 0
    steps: int = 1
    """Of the last command that ran to its end."""
    cpu: float = 1
    """Seconds that it computed."""

    def run(self, argv: list[str], step: int = 0, cpu: float | None = None) -> tuple[int, str]:
        """Run a command; return how it ended, negative for a kill, and all that it had printed."""
        said, steps = self.folder / "said", self.folder / "steps"
        for path in (said, steps):
            path.write_bytes(b"")
        asked = {"argv": list(map(str, argv)), "said": str(said), "step": step, "cpu": cpu}
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.stdin.write(json.dumps(asked) + "\n")
        self.server.stdin.flush()
        code, used = self.server.stdout.readline().split()
        if int(code) in KILLED:
            self.kills += 1
        else:
            self.steps, self.cpu = steps.stat().st_size, float(used)
        return int(code), said.read_text(encoding="utf-8")

    def kill(self, argv: list[str], steps: int, cpu: float) -> tuple[int, str]:
        """Run a command and kill it: at one of so many steps, or within so much computing."""
        if self.draw.random() < 0.6:
            return self.run(argv, step=self.draw.randint(1, max(steps, 1)))
        return self.run(argv, cpu=self.draw.uniform(0, cpu))


if __name__ == "__main__":
    serve()
