"""Texts, archives and pickles of far more than they seem: refused by name before they are built."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from peak_memory import peak

from ifvit.archives import read_arrays
from ifvit.comparison.decision import load_decision
from ifvit.data.manifest import read_manifest
from ifvit.evaluation.protocols import read_comparisons
from ifvit.evaluation.scores import ScoreRow, read_scores, write_scores
from ifvit.texts import read_json, read_table
from ifvit.weights.checkpoint import read_metadata
from ifvit.weights.pytorch import MAGIC, read_state_dict

MANY = 3_000_000


def safetensors(header: str) -> bytes:
    return struct.pack("<Q", len(header)) + header.encode()


def torch_zip(pickled: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3")
    return buffer.getvalue()


def many_members() -> bytes:
    """An archive whose list of what is in it is long: of the same empty file, many times."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", b"")
    data = buffer.getvalue()
    at = data.index(b"PK\x01\x02")
    one, end = data[at : data.index(b"PK\x05\x06")], data[data.index(b"PK\x05\x06") :]
    listed = one * 200_000
    sizes = struct.pack("<HHII", 0xFFFF, 0xFFFF, len(listed), at)
    return data[:at] + listed + end[:8] + sizes + end[20:]


def packed(arrays: dict) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


HEAVY = {
    "lists in JSON": (b'{"a":[' + b"[]," * MANY + b"0]}", lambda p: read_json(p, "a record")),
    "entries of JSON": (
        b"{" + b'"":0,' * MANY + b'"a":0}',
        lambda p: read_json(p, "a record"),
    ),
    "objects in a calibration": (b'{"impostor":[' + b"{}," * MANY + b"0]}", load_decision),
    "text without end": (b'{"a":"' + b"x" * (40 << 20) + b'"}', lambda p: read_json(p, "x")),
    "columns": (b"path,finger" + b"," * MANY, read_manifest),
    "empty lines": (b"path,finger\n" + b"\n" * MANY, read_manifest),
    "empty lines first": (b"\r\n" * MANY, read_manifest),
    "a line of a list": (b"a " * MANY, lambda p: read_comparisons(p, [], p.parent)),
    "names of a checkpoint": (
        safetensors(json.dumps({str(n): [] for n in range(MANY // 8)})),
        read_metadata,
    ),
    "files of an archive": (many_members(), lambda p: read_arrays(p, "arrays")),
    "files of a checkpoint": (many_members(), read_metadata),
    "zeros of an archive": (
        packed({"a": np.random.default_rng(0).bytes(MANY), "b": np.zeros(30 * MANY, np.uint8)}),
        lambda p: read_arrays(p, "arrays"),
    ),
    "lists in a pickle": (torch_zip(b"\x80\x02(" + b"]" * MANY + b"l."), read_state_dict),
    "zeros in a pickle": (torch_zip(bytes(30 * MANY), zipfile.ZIP_DEFLATED), read_state_dict),
    "an old pickle": (MAGIC + b"\x80\x02(" + b"]" * MANY + b"l.", read_state_dict),
    "bytes made by a pickle": (
        torch_zip(b"\x80\x02cbuiltins\nbytearray\n(J\x00\x00\x00\x40tR."),
        read_state_dict,
    ),
    "numbers in no PyTorch file": (b"\x80\x02(" + b"K\x00" * MANY + b"l.", read_state_dict),
}


SAID = {
    **dict.fromkeys(("lists in JSON", "entries of JSON"), "holds values of some"),
    "objects in a calibration": "holds values of some",
    "text without end": "has 42 MB",
    **dict.fromkeys(("columns", "a line of a list"), "line 1: more than 1048576 characters"),
    **dict.fromkeys(("empty lines", "empty lines first"), "lines without anything"),
    "names of a checkpoint": "its header says 5 MB of names",
    **dict.fromkeys(("files of an archive", "files of a checkpoint"), "header says 10 MB of names"),
    "zeros of an archive": "its header says 93 MB",
    **dict.fromkeys(("lists in a pickle", "an old pickle"), "steps to build it"),
    "zeros in a pickle": "its header says 90 MB",
    "bytes made by a pickle": "asks for builtins.bytearray",
    "numbers in no PyTorch file": "does not begin as one",
}
"""Why each is refused: what is let pass fails later in other words, with the memory taken."""


@pytest.mark.parametrize("kind", HEAVY)
def test_what_would_fill_the_memory_is_refused(tmp_path, kind):
    data, read = HEAVY[kind]
    if read is read_state_dict:
        pytest.importorskip("torch")
    path = tmp_path / "heavy"
    path.write_bytes(data)
    before = peak(anew=True)
    with pytest.raises(ValueError) as caught:
        read(path)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 500
    assert SAID[kind] in str(caught.value)
    grown = peak() - before
    assert grown < 150_000, f"{grown} kB"


def test_a_table_ends_at_its_first_wrong_row(tmp_path):
    """Rows are read one by one: what follows is never held."""
    path = tmp_path / "t.csv"
    path.write_bytes(b"path,finger\n" + b"1,2\n" * MANY)
    before = peak(anew=True)
    with pytest.raises(FileNotFoundError, match=r"t\.csv, line 2: no such image"):
        read_manifest(path)
    rows = read_table(path, ("path",), "a table")
    assert next(rows).values == {"path": "1", "finger": "2"}
    assert peak() - before < 50_000


@pytest.mark.parametrize("start", ["", "path,finger", "path,finger\n1.png,1", "\n\n#"])
def test_a_line_without_end_is_not_held(tmp_path, start):
    """Of 400 MB, of which the disk holds none: it is no text from its first piece on."""
    path = tmp_path / "t.csv"
    path.write_text(f"{start}aa", encoding="utf-8")
    os.truncate(path, 400 << 20)
    for read in (read_manifest, lambda p: read_comparisons(p, [], p.parent), read_scores):
        before = peak(anew=True)
        with pytest.raises(ValueError, match=r"t\.csv"):
            read(path)
        assert peak() - before < 50_000


def test_a_comparison_counts_once(tmp_path):
    rows = [ScoreRow(f"{n}", "x", n % 2, 0.1, 0.2, 0.3, 0.5, 9, "ok") for n in range(6)]
    for at, twice in ((0, 5), (3, 1), (5, 5)):
        write_scores([*rows[:at], rows[twice], *rows[at:], rows[twice]], tmp_path / "s.csv")
        with pytest.raises(ValueError, match=r"s\.csv, line \d+: .* is in line \d+ already"):
            read_scores(tmp_path / "s.csv")


TEMPLATES = """
import json, sys
import numpy as np
from ifvit.gallery.template import load_templates
count = 40_000
cells = np.zeros((count, 20, 20, 8), np.int8); cells[..., 0] = 127
index = np.full((count, 256), 127, np.int8)
record = json.dumps({"version": 2, "matcher_sha256": "a"})
np.savez(sys.argv[1], ifvit=np.array(record), names=np.arange(count).astype(str), cells=cells,
         mask=np.ones((count, 20, 20), bool), index=index)
del cells, index
load_templates(sys.argv[1])
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def test_a_large_file_of_templates_takes_little_more_than_itself(tmp_path: Path):
    command = [sys.executable, "-c", TEMPLATES, str(tmp_path / "t.npz")]
    done = subprocess.run(command, capture_output=True, check=True, timeout=100)
    assert int(done.stdout) < 500_000  # kB, of which the file is 154,000


def test_pickles_of_these_tests_are_what_they_say():
    assert pickle.loads(b"\x80\x02(]]l.") == [[], []]
