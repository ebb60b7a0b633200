"""Lists, tables and records of other programs: one reading, or an error with its place."""

from __future__ import annotations

import itertools
import json
import random
import unicodedata
from pathlib import Path

import pytest

from ifvit.data.manifest import read_manifest
from ifvit.data.prints import Print
from ifvit.evaluation.protocols import Pair, read_comparisons, write_comparisons
from ifvit.texts import parse_json, read_json, read_table, read_text, shortened

NAMES = [
    "plain.png",
    "with blank.png",
    "é.png",
    "指.png",
    "a#b.png",
    "#first.png",
    "semi;colon.png",
    "com,ma.png",
    'quo"te.png',
    "\udcff\udc80.png",
    " lead and trail .png ",
    "100%.png",
]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]


def prints(folder: Path, names: list[str]) -> list[Print]:
    made = []
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
        made.append(Print("set", str(number // 2), str(number % 2), folder / name, 500))
    return made


def encoded(text: str, encoding: str) -> bytes | None:
    """None where an encoding has no way to say it."""
    try:
        return text.encode(encoding, "surrogateescape" if "8" in encoding else "strict")
    except UnicodeEncodeError:
        return None


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_of_any_spreadsheet_is_the_same_table(tmp_path, encoding, delimiter, end):
    plain = [name for name in NAMES if name == name.strip()]
    listed = prints(tmp_path, plain)
    rows = [["path", "finger", "ppi"], *([p.path.name, p.finger, "500.0"] for p in listed)]
    quoted = [['"' + cell.replace('"', '""') + '"' for cell in row] for row in rows]
    for extra in ("", f"sep={delimiter}{end}"):
        lines = [row for row in quoted if encoded(row[0], encoding) is not None]
        text = extra + end.join(delimiter.join(row) for row in lines) + end
        (tmp_path / "t.csv").write_bytes(encoded(text, encoding) or b"")
        found = read_manifest(tmp_path / "t.csv")
        assert [p.path.name for p in found] == [
            p.path.name for p in listed if encoded(p.path.name, encoding) is not None
        ]
        assert {p.ppi for p in found} == {500}


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_both_forms_of_an_accent_are_one_name(tmp_path, written, on_disk):
    names = [unicodedata.normalize(on_disk, n) for n in ("né/é.png", "né/ü.png")]
    listed = prints(tmp_path, names)
    table, comparisons = tmp_path / "t.csv", tmp_path / "list.txt"
    theirs = [unicodedata.normalize(written, n) for n in names]
    table.write_text("path,finger\n" + "".join(f"{n},1\n" for n in theirs), encoding="utf-8")
    assert [p.path for p in read_manifest(table)] == [p.path for p in listed]
    comparisons.write_text(f"{theirs[0]}\t{theirs[1]}\tgenuine\n", encoding="utf-8")
    assert read_comparisons(comparisons, listed, tmp_path) == [Pair(0, 1, True)]
    comparisons.write_text(f"{theirs[0]} {theirs[1]} 1\n".replace("/", "\\"), encoding="utf-8")
    assert read_comparisons(comparisons, listed, tmp_path) == [Pair(0, 1, True)]


@pytest.mark.parametrize("seed", range(12))
def test_the_slashes_of_another_system_are_slashes(tmp_path, seed):
    draw, folders = random.Random(seed), ["a", "é", "b c", "指", "X.y"]
    names = ["/".join([*draw.choices(folders, k=draw.randint(1, 3)), f"{n}.png"]) for n in range(6)]
    listed = prints(tmp_path, names)
    theirs = [name.replace("/", "\\") if draw.random() < 0.7 else name for name in names]
    table, comparisons = tmp_path / "t.csv", tmp_path / "list.txt"
    table.write_text("path,finger\n" + "".join(f"{n},1\n" for n in theirs), encoding="utf-8")
    assert [p.path for p in read_manifest(table)] == [p.path for p in listed]
    comparisons.write_text(f"{theirs[0]}\t{theirs[1]}\tgenuine\n", encoding="utf-8")
    assert read_comparisons(comparisons, listed, tmp_path) == [Pair(0, 1, True)]


def test_what_was_written_is_read_whatever_the_names(tmp_path):
    listed = prints(tmp_path / "set", NAMES)
    pairs = [Pair(a, b, a // 2 == b // 2) for a, b in itertools.combinations(range(len(NAMES)), 2)]
    path = tmp_path / "list.txt"
    write_comparisons(path, pairs, listed, tmp_path / "set")
    assert read_comparisons(path, listed, tmp_path / "set") == pairs
    write_comparisons(path, pairs[::-1], listed, tmp_path / "set")
    path.write_bytes(
        b"\xef\xbb\xbf# a comment\r\n\r\n" + path.read_bytes().replace(b"\n", b"  \r\n")
    )
    assert read_comparisons(path, listed, tmp_path / "set") == pairs[::-1]


def test_two_sets_in_one_list_keep_their_fingers_apart(tmp_path):
    """Finger 1 of one set and finger 1 of another are two persons'."""
    listed = [
        Print(name, "1", str(n), tmp_path / name / f"1_{n}.png", 500)
        for name in ("a", "b")
        for n in (1, 2)
    ]
    pairs = [Pair(0, 1, True), Pair(2, 3, True), Pair(0, 2, False), Pair(1, 3, False)]
    write_comparisons(tmp_path / "list.txt", pairs, listed, tmp_path)
    assert read_comparisons(tmp_path / "list.txt", listed, tmp_path) == pairs
    text = (tmp_path / "list.txt").read_text()
    (tmp_path / "list.txt").write_text(text.replace("impostor", "genuine"))
    with pytest.raises(ValueError, match=r"line 3: genuine, but .* are of two fingers"):
        read_comparisons(tmp_path / "list.txt", listed, tmp_path)
    (tmp_path / "list.txt").write_text(text + text.splitlines()[0] + "\n")
    with pytest.raises(ValueError, match=r"line 5: .* are in line 1 already"):
        read_comparisons(tmp_path / "list.txt", listed, tmp_path)


def test_an_open_quote_swallows_nothing(tmp_path):
    """A quote put anywhere: either every row is read as before, or the table is refused."""
    listed = prints(tmp_path, [f"{n}.png" for n in range(30)])
    text = "path,finger\n" + "".join(f"{p.path.name},{p.finger}\n" for p in listed)
    draw, refused = random.Random(0), 0
    for _ in range(300):
        damaged = text
        for _ in range(draw.choice([1, 1, 2])):
            at = draw.randrange(len(damaged))
            damaged = damaged[:at] + '"' + damaged[at:]
        (tmp_path / "t.csv").write_text(damaged)
        try:
            found = read_manifest(tmp_path / "t.csv")
        except (ValueError, FileNotFoundError) as error:
            assert "t.csv, line " in str(error) and len(str(error)) < 500
            refused += 1
        else:
            assert len(found) == 30
    assert refused > 100


def test_damaged_records_are_refused_by_name(tmp_path):
    """Cut, flipped and nested ones: ValueError with the file's name, and nothing else."""
    path, draw = tmp_path / "run.json", random.Random(1)
    whole = json.dumps({"mode": "pair", "list": [1.5, None, "é"], "inner": {"a": True}}).encode()
    texts = [b"", b"\0", b"[]", b"3", b"NaN", b'{"a": NaN}', b'{"a": Infinity}', b"\xff" * 9]
    texts += [b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe\x00", bytes(1000)]
    texts += [whole[:at] for at in range(len(whole))]
    for text in texts:
        path.write_bytes(text)
        with pytest.raises(ValueError) as caught:
            read_json(path, "a record")
        assert str(path) in str(caught.value) and len(str(caught.value)) < 500
    for _ in range(500):
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        try:
            read_json(path, "a record")
        except ValueError as error:
            assert str(path) in str(error)
    with pytest.raises(ValueError, match="is a folder"):
        read_json(tmp_path, "a record")
    assert parse_json('{"a": NaN}', finite=False)


@pytest.mark.parametrize("seed", range(20))
def test_a_zero_byte_is_no_text(tmp_path, seed):
    """Wherever it stands, in a finger's name too, which nothing else would refuse."""
    draw, path = random.Random(seed), tmp_path / "t.csv"
    rows = "".join(f"{one.path.name},finger {one.finger}\n" for one in prints(tmp_path, NAMES[:4]))
    data = bytearray(f"path,finger\n{rows}".encode())
    at = data.rindex(b"finger") if seed < 4 else draw.randrange(2, len(data))
    data[at:at] = bytes(draw.choice([1, 2, 9]))
    path.write_bytes(data)
    for read in (read_manifest, lambda p: read_text(p, "a text"), lambda p: read_json(p, "x")):
        with pytest.raises(ValueError, match=r"t\.csv holds bytes that are no text"):
            read(path)


def test_random_bytes_are_no_table(tmp_path):
    draw = random.Random(2)
    for turn in range(300):
        start = draw.choice([b"", b"a,b\n", b"\xff\xfe", b"\xef\xbb\xbf"])
        (tmp_path / "t").write_bytes(start + draw.randbytes(draw.choice([0, 1, 5, 400])))
        for read in (
            lambda p: list(read_table(p, ("a", "b"), "a table")),
            lambda p: read_text(p, "x"),
        ):
            try:
                read(tmp_path / "t")
            except ValueError as error:
                assert str(tmp_path / "t") in str(error) and len(str(error)) < 500, turn


def test_long_messages_keep_their_ends():
    text = "what was found, " + "name, " * 100_000 + "what to do"
    short = shortened(text)
    assert len(short) <= 500 and short.startswith("what was") and short.endswith("what to do")
    assert shortened("two\n lines") == "two lines"
