"""Files written whole or not at all: links, devices, modes, threads, kills, and what is kept."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from ifvit.files import (
    check_output,
    guarded,
    keep_earlier,
    write_atomically,
    write_result,
    write_text,
)

MARK = b"made by a test"


def test_an_earlier_checkpoint_is_kept(tmp_path):
    path = tmp_path / "dense_reg_ckpt.safetensors"
    keep_earlier(path)
    for content in ("first", "second"):
        path.write_text(content)
        keep_earlier(path)
        assert not path.exists()
    kept = {p.name: p.read_text() for p in tmp_path.iterdir()}
    assert kept == {
        "dense_reg_ckpt.1.safetensors": "first",
        "dense_reg_ckpt.2.safetensors": "second",
    }


def test_threads_that_write_one_path_never_tear_it(tmp_path):
    path, wrong = tmp_path / "one", []
    write_atomically(path, b"0" * 5000)
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            found = path.read_bytes()
            if len(found) != 5000 or len(set(found)) != 1:
                wrong.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: write_atomically(path, b"%d" % (n % 10) * 5000), range(200)))
    finally:  # a writer that fails would leave the reader at it for ever
        done.set()
        reader.join()
    assert not wrong and [p.name for p in tmp_path.iterdir()] == ["one"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o444, 0o755])
@pytest.mark.parametrize("chain", range(4))
def test_a_link_stays_a_link_and_modes_stay_modes(tmp_path, mode, chain):
    """A chain of links, relative and absolute ones, over folders."""
    target = tmp_path / "real" / "file"
    target.parent.mkdir()
    target.write_bytes(b"old")
    target.chmod(mode)
    links = [target]
    for number in range(chain):
        link = tmp_path / f"folder{number}" / "link"
        link.parent.mkdir()
        previous = links[-1]
        link.symlink_to(previous if number % 2 else os.path.relpath(previous, link.parent))
        links.append(link)
    write_atomically(links[-1], b"new")
    assert target.read_bytes() == b"new" and stat.S_IMODE(target.stat().st_mode) == mode
    assert all(link.is_symlink() and link.resolve() == target for link in links[1:])


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o604, 0o400, 0o660])
def test_nobody_can_open_a_file_before_it_has_the_mode_of_the_earlier(tmp_path, monkeypatch, mode):
    """Whoever opened it in that moment would read all that is written later."""
    path, begun, opened = tmp_path / "file", list[int](), os.open
    path.write_bytes(b"old")
    path.chmod(mode)

    def noted(name, flags, mode=0o777, **more):
        descriptor = opened(name, flags, mode, **more)
        if flags & os.O_CREAT:
            begun.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    before = os.umask(0)
    try:
        with monkeypatch.context() as watched:
            watched.setattr(os, "open", noted)
            write_atomically(path, b"new")
    finally:
        os.umask(before)
    assert len(begun) == 1 and begun[0] & 0o077 & ~mode == 0
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_has_the_mode_asked_for_or_what_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "plain", b"")
        write_atomically(tmp_path / "private", b"", mode=0o600)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"plain": 0o640, "private": 0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_owner_stays(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 1234, 2345)
    write_atomically(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


def test_what_is_no_plain_file_is_written_to(tmp_path):
    # A terminal of its own: a fault would put a file in the place of the machine's /dev/null.
    master, slave = os.openpty()
    device, link = Path(os.ttyname(slave)), tmp_path / "link"
    link.symlink_to(device)
    write_atomically(device, b"anything")
    write_result(link, b" more", MARK)
    assert os.read(master, 100) == b"anything more"
    assert link.is_symlink() and device.is_char_device()
    os.close(slave)
    os.close(master)
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write_atomically(pipe, b"through a pipe")
    reader.join()
    assert found == [b"through a pipe"] and pipe.is_fifo()
    code = "from ifvit.files import write_text; write_text('/dev/stdout', 'to a stream')"
    with (tmp_path / "redirected").open("wb") as file:
        for stdout in (subprocess.PIPE, file):
            run = subprocess.run([sys.executable, "-c", code], stdout=stdout, check=True)
            assert run.stdout in (None, b"to a stream")
    assert (tmp_path / "redirected").read_bytes() == b"to a stream"


def test_a_planted_link_is_not_followed(tmp_path, monkeypatch):
    """Whatever the temporary file is called: a link under that name is left alone."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    monkeypatch.setattr("ifvit.temporary.secrets.token_hex", lambda _: "known")
    (tmp_path / f".file.{os.getpid()}.known.tmp").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "file", b"new")
    assert victim.read_bytes() == b"precious" and not (tmp_path / "file").exists()


@pytest.mark.parametrize("length", [1, 100, 199, 200, 201, 240, 255])
def test_names_of_any_length(tmp_path, length):
    path = tmp_path / ("é" * (length // 2) + "a" * (length % 2))
    write_text(path, "text")
    assert path.read_text() == "text" and list(tmp_path.iterdir()) == [path]


KILLED = """
import sys
from ifvit.files import write_atomically
def parts():
    yield b"half"
    print("half", flush=True)
    sys.stdin.read()
write_atomically(sys.argv[1], parts())
"""


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"whole")
    command = [sys.executable, "-c", KILLED, str(path)]
    writers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) for _ in range(2)
    ]
    for writer in writers:
        writer.stdout.readline()
    assert len(list(tmp_path.iterdir())) == 3 and path.read_bytes() == b"whole"
    writers[0].kill()
    writers[0].communicate()
    write_atomically(path, b"again")
    # That of the process that lives is left to it.
    assert len(list(tmp_path.iterdir())) == 2 and path.read_bytes() == b"again"
    writers[1].communicate()
    assert path.read_bytes() == b"half" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("seed", range(8))
def test_content_is_on_the_disk_before_its_name_and_the_name_after(tmp_path, monkeypatch, seed):
    """A machine that stops at any moment has the old file or the new one, whole."""
    draw = random.Random(seed)
    parts = [draw.randbytes(draw.choice([0, 1, 5000, 90_000])) for _ in range(draw.randint(1, 4))]
    path, done, replace = tmp_path / "file", list[str | int](), os.replace
    if seed % 2:
        path.write_bytes(b"old")

    def synced(descriptor: int) -> None:
        found = os.fstat(descriptor)
        done.append("folder" if stat.S_ISDIR(found.st_mode) else found.st_size)

    def renamed(source: Path, target: Path) -> None:
        done.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    write_atomically(path, parts)
    assert done == [sum(map(len, parts)), "name", "folder"]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"whole")

    def full():
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, full())
    assert path.read_bytes() == b"whole" and list(tmp_path.iterdir()) == [path]


def test_what_is_not_ours_is_kept_aside(tmp_path):
    """Random turns of foreign and own content: no foreign byte is ever lost."""
    path, draw, foreign, kept = tmp_path / "out.png", random.Random(0), 0, []
    for turn in range(40):
        if draw.random() < 0.4:
            content = b"foreign %d" % turn + draw.randbytes(draw.choice([0, 10, 9000]))
            path.write_bytes(content)
            foreign += 1
            kept.append(content)
        write_result(path, MARK + b"%d" % turn, MARK)
        assert path.read_bytes() == MARK + b"%d" % turn
    found = {p.read_bytes() for p in tmp_path.iterdir() if p != path}
    assert found == set(kept) and len(kept) == foreign > 5


def test_no_input_is_written_over(tmp_path):
    """Under any of its names: as given, by a link, by a hard link, by a longer way."""
    read = tmp_path / "input"
    read.write_bytes(b"precious")
    (tmp_path / "folder").mkdir()
    os.link(read, tmp_path / "hard")
    (tmp_path / "soft").symlink_to(read)
    names = [read, tmp_path / "hard", tmp_path / "soft", tmp_path / "folder" / ".." / "input"]
    with guarded([read, tmp_path / "missing"]):
        for name in names:
            for write in (
                lambda path: write_atomically(path, b"lost"),
                lambda path: write_result(path, b"lost", MARK),
                check_output,
            ):
                with pytest.raises(ValueError, match="is what this command reads"):
                    write(name)
        write_atomically(tmp_path / "other", b"fine")
    assert read.read_bytes() == b"precious"
    for before, after in pairwise([*names, names[0]]):
        assert before.read_bytes() == after.read_bytes()
    write_atomically(read, b"afterwards")
    assert read.read_bytes() == b"afterwards"


def test_places_that_cannot_be_written_to_are_known_beforehand(tmp_path):
    (tmp_path / "file").write_text("")
    for path, reason in (
        (tmp_path, "is a folder"),
        (tmp_path / "file" / "below", "is a file"),
        (tmp_path / "file" / "further" / "below", "is a file"),
    ):
        with pytest.raises(ValueError, match=reason):
            check_output(path)
    check_output(tmp_path / "new" / "folder" / "file")
    assert [p.name for p in Path(tmp_path).iterdir()] == ["file"]
