"""What Windows has and has not, played here: no flock, locked bytes, no renaming of open files.

Windows itself is not at hand; what its functions do is taken from their documents.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from ifvit import locks, temporary
from ifvit.files import write_atomically
from ifvit.locks import folder_lock


def opened_here(path: str | Path) -> bool:
    wanted = os.path.realpath(path)
    links = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
    return any(os.path.lexists(link) and os.path.realpath(link) == wanted for link in links)


def locking(descriptor: int, mode: int, count: int) -> None:
    """Lock bytes from the file's place on, as msvcrt does; here by POSIX's own locks."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, count, 0, os.SEEK_CUR)
    except OSError as error:
        raise PermissionError(13, "Permission denied") from error


@pytest.fixture
def windows(monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    played = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
    monkeypatch.setattr(locks, "msvcrt", played, raising=False)
    monkeypatch.setattr(temporary, "RENAMES_OPEN", False)
    for name in ("replace", "unlink"):
        real = getattr(os, name)

        def guarded(path, *more, real=real, **options):
            if opened_here(path):
                raise PermissionError(13, "it is being used by another process", str(path))
            return real(path, *more, **options)

        monkeypatch.setattr(os, name, guarded)


HOLD = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from ifvit import locks
from test_without_flock import locking
import types
locks.fcntl, locks.msvcrt = None, types.SimpleNamespace(locking=locking, LK_NBLCK=2)
with locks.folder_lock(Path(sys.argv[1]), "evaluating", "--out"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_folder_is_one_process_s_there_too(tmp_path, windows):
    command = [sys.executable, "-c", HOLD, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(ValueError, match=f"process {other.pid}, is evaluating in"),
            folder_lock(tmp_path, "evaluating", "--out"),
        ):
            pass
        other.kill()
    with folder_lock(tmp_path, "evaluating", "--out"):
        assert (tmp_path / ".lock").read_text(encoding="utf-8") == str(os.getpid())


@pytest.mark.parametrize("there", [False, True])
def test_a_file_is_written_whole(tmp_path, windows, there):
    path = tmp_path / "x.json"
    if there:
        path.write_bytes(b"before")
    write_atomically(path, [b"a", b"b"])
    assert path.read_bytes() == b"ab"
    assert os.listdir(tmp_path) == ["x.json"]


def test_what_fails_leaves_what_was_there(tmp_path, windows):
    def parts():
        yield b"half"
        raise OSError(28, "No space left on device")

    path = tmp_path / "x.json"
    path.write_bytes(b"before")
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, parts())
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["x.json"]
