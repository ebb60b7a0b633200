"""How commands end: one line and an exit code, for every error, stream and signal."""

from __future__ import annotations

import binascii
import csv
import logging
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from ifvit.cli import main
from ifvit.commands import COMMANDS, command
from ifvit.endings import OneLine, explained
from ifvit.gallery.template import Templates, save_templates

ARGUMENTS = {
    "synth": ["--out", "x"],
    "convert-loftr": ["--pytorch-ckpt", "x"],
    "train-dense": [],
    "train-match": [],
    "runs": [],
    "inspect": ["x"],
    "release": ["--dense-ckpt", "x", "--matcher-ckpt", "y", "--out", "z"],
    "export-onnx": ["x"],
    "match": ["a", "b"],
    "register": ["a", "b"],
    "embed": ["a"],
    "compare": ["a", "b"],
    "enroll": ["g", "a"],
    "search": ["g", "a"],
    "verify": ["g", "id", "a"],
    "dedupe": ["g"],
    "list": ["g"],
    "remove": ["g", "id"],
    "gallery": ["count", "g"],
    "serve": [],
    "evaluate": ["--dataset-root", "x"],
    "calibrate": ["x"],
    "identify": ["--dataset-root", "x"],
    "report": ["x"],
    "demo": [],
}

ERRORS = [
    ValueError("plain words"),
    ValueError(""),
    ValueError("two\nlines"),
    ValueError("name, " * 500_000),
    FileNotFoundError(2, "No such file or directory", "x"),
    OSError(28, "No space left on device"),
    PermissionError(13, "Permission denied", "x"),
    KeyError("mode"),
    IndexError(),
    TypeError("'float' object is not iterable"),
    AttributeError("x" * 10_000),
    ZeroDivisionError("integer modulo by zero"),
    AssertionError(),
    RuntimeError("Could not determine home directory."),
    RecursionError("maximum recursion depth exceeded"),
    NotImplementedError("compression type 97"),
    MemoryError(),
    ImportError("no module"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range"),
    csv.Error("line contains NUL"),
    zipfile.BadZipFile("Bad CRC-32"),
    zlib.error("Error -3"),
    binascii.Error("odd"),
    np.linalg.LinAlgError("singular"),
    StopIteration(),
    GeneratorExit(),
]


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_error_of_every_command_is_one_line(capsys, monkeypatch, verb):
    assert ARGUMENTS.keys() == {*COMMANDS}
    for error in ERRORS:

        def fail(_, error=error):
            raise error

        monkeypatch.setattr(command(verb), "run", fail)
        assert main([verb, *ARGUMENTS[verb]]) == 2
        out, said = capsys.readouterr()
        assert out == "" and said.startswith("ifvit: error: ") and len(said) > 16
        assert said.count("\n") == 1 and said.endswith("\n") and len(said) < 520
        assert "Traceback" not in said
        if isinstance(error, MemoryError):
            assert "out of memory" in said
        elif not isinstance(error, ValueError | OSError) or not str(error):
            assert type(error).__name__ in said and "IFVIT_DEBUG=1" in said


def test_who_asks_is_shown_where_it_arose(capsys, monkeypatch):
    monkeypatch.setenv("IFVIT_DEBUG", "1")
    assert main(["inspect", "/none"]) == 2
    said = capsys.readouterr().err
    assert "Traceback" in said and said.splitlines()[-1].startswith("ifvit: error: /none does not")


def test_log_lines_are_short():
    record = logging.LogRecord("ifvit", logging.WARNING, "", 0, "%s", ("name, " * 9999,), None)
    assert len(OneLine().format(record)) <= 500


def test_unforeseen_errors_keep_their_type_and_the_advice():
    text = explained(KeyError("x" * 10_000))
    assert text.startswith("KeyError: ") and text.endswith("it arose)") and len(text) <= 500


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "ifvit.cli", *arguments]
    own = {k: v for k, v in {**os.environ, **environment}.items() if v != "-"}
    return subprocess.run(command, capture_output=True, env=own, timeout=120)


def templates(path: Path, names: list[str]) -> str:
    cells = np.zeros((len(names), 2, 2, 8), np.int8)
    cells[..., 0] = 127
    shown, index = np.ones((len(names), 2, 2), bool), np.full((len(names), 4), 127, np.int8)
    save_templates(path, Templates(tuple(names), cells, shown, index, "ab" * 32))
    return str(path)


NAMES = ["plain.png", "é.png", "指.png", "\udcff.png", "≤.png"]


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "utf-8"},
        {"LC_ALL": "C", "PYTHONIOENCODING": "-", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["ascii", "cp1252", "utf-8", "C"],
)
def test_results_are_printed_whatever_the_encoding(tmp_path, environment):
    path = templates(tmp_path / "t.npz", NAMES)
    done = program("compare", path, path, **environment)
    assert done.returncode == 0 and not done.stderr
    assert done.stdout.count(b"\n") == 25 and b"plain.png\tplain.png\t0.1429" in done.stdout
    if environment.get("PYTHONIOENCODING") == "utf-8":  # names leave as they came
        assert "指.png\té.png".encode() in done.stdout and b"\xff.png" in done.stdout


def test_a_pipe_that_is_closed_is_no_error(tmp_path):
    path = templates(tmp_path / "t.npz", [f"{n}.png" for n in range(200)])
    shell = (
        f"'{sys.executable}' -m ifvit.cli compare {path} {path} | head -1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", shell], capture_output=True, timeout=120)
    assert done.stderr == b"" and done.stdout.splitlines()[-1] == b"141"
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "ifvit.cli", "compare", path, path]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == 2 and b"No space left" in done.stderr.splitlines()[0]
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_full_disk_is_told_however_little_is_written(tmp_path, count):
    """A line or two wait in Python's own buffer until the end of the program."""
    path = templates(tmp_path / "t.npz", [f"{n}.png" for n in range(count)])
    buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    for arguments in (["compare", path, path], ["--version"], []):
        with open("/dev/full", "wb") as full:
            command = [sys.executable, "-m", "ifvit.cli", *arguments]
            done = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, env=buffered, timeout=120
            )
        said = done.stderr.decode().splitlines()
        assert done.returncode == 2 and len(said) == 1, (arguments, done)
        assert said[0].startswith("ifvit: error: ") and "No space left" in said[0]


@pytest.mark.parametrize("device", ["cuda", "tpu", "nonsense"])
@pytest.mark.heavy
def test_a_device_that_is_not_there_is_named(tmp_path, device, print_folder, trained_pair):
    flags = ["--dense-ckpt", str(trained_pair[0]), "--out", str(tmp_path)]
    prints = [str(print_folder / "1_1.png")] * 2
    done = program("register", *prints, *flags, JAX_PLATFORMS=device)
    assert done.returncode == 2 and b"Traceback" not in done.stderr
    said = done.stderr.decode().splitlines()[-1]
    assert said.startswith(f"ifvit: error: JAX_PLATFORMS is '{device}'"), said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody unknown")
def test_a_user_without_a_home_has_no_cache():
    code = (
        "import os; from ifvit.cache import user_cache; os.setgid(54321); os.setuid(54321)\n"
        "assert user_cache() is None"
    )
    own = {
        k: v for k, v in os.environ.items() if k not in ("HOME", "IFVIT_CACHE", "XDG_CACHE_HOME")
    }
    done = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.heavy
def test_an_interrupt_at_any_moment_is_one_line(tmp_path):
    """From where the program begins, through imports of the libraries and work, to its end."""
    path, draw = templates(tmp_path / "t.npz", [f"{n}.png" for n in range(1500)]), random.Random(0)
    begun = "import sys; from ifvit.cli import main; from ifvit.endings import take_over; "
    begun += "take_over(); print(file=sys.stderr, flush=True); "
    for _ in range(10):
        command = [sys.executable, "-c", f"{begun} sys.exit(main())", "compare", path, path]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            process.stderr.readline()
            time.sleep(draw.uniform(0, 4))
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
            code = process.wait(60)
        assert b"Traceback" not in said, said.decode()
        assert (code, said) in ((130, b"ifvit: interrupted\n"), (0, b""))


STUBBORN = {
    "swallows it": "try:\n    struck()\nexcept BaseException:\n    pass",
    "raises another": "try:\n    struck()\nexcept BaseException as e:\n    raise OSError from e",
    "in a finaliser": "class A:\n    def __del__(self):\n        struck()\nA()",
    "in a sort": "class A:\n    def __lt__(self, other):\n        struck()\nsorted([A(), A()])",
    "in a callback": (
        "import ctypes\nkind = ctypes.CFUNCTYPE(ctypes.c_int)\nkind(lambda: struck() or 1)()"
    ),
    "as it imports": (
        "sys.meta_path.insert(0, Finder())\ntry:\n    import none\nexcept ImportError:\n    pass"
    ),
}
"""Code of libraries, in which an exception of Ctrl-C would be lost or become another."""

STRIKE = """
import os, signal, sys, time
from ifvit import cli
from ifvit.endings import take_over
def struck():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)
class Finder:
    def find_spec(self, *_):
        try:
            struck()
        except BaseException as error:
            raise ImportError("none") from error
take_over()
cli._run = lambda arguments: exec(arguments[0], globals()) or 0
sys.exit(cli.main([sys.argv[1]]))
"""


@pytest.mark.parametrize("library", STUBBORN)
def test_an_interrupt_is_not_left_to_a_library(library):
    command = [sys.executable, "-c", STRIKE, STUBBORN[library]]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, b"ifvit: interrupted\n")
