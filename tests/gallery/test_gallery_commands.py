"""The commands of a gallery, as somebody types them."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fake_matcher import FakeMatcher, write_prints

from ifvit.cli import main
from ifvit.matcher import Matcher


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with prints of five fingers; commands use a matcher that is there at once."""
    write_prints(tmp_path / "set", 5)
    monkeypatch.setattr(Matcher, "from_checkpoints", lambda *_: FakeMatcher())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys, *arguments: str) -> list[str]:
    assert main([*arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr().out.splitlines()


def complaint(capsys, *arguments: str) -> str:
    assert main([*arguments]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("ifvit: error: ")
    return said.removeprefix("ifvit: error: ")


def test_from_the_first_print_to_the_last(folder, capsys) -> None:
    told = run(capsys, "enroll", "g", "set", "--keep-prints")
    assert len(told) == 11 and told[-1] == "10 enrolled, 0 known, 0 refused; 10 prints in g"
    id, state, name = told[0].split("\t")
    assert state == "enrolled" and name == "set/1_1.png"
    assert run(capsys, "enroll", "g", "set")[-1].startswith("0 enrolled, 10 known")

    found = run(capsys, "search", "g", "set/3_2.png", "--evidence", "seen")
    assert found[0].startswith("set/3_2.png: set/3, at FPIR 0.1 %, 10 prints: score from 0.")
    assert found[0].endswith(", extrapolated") and found[2].split("\t")[6] == "set/3"
    assert len(list(Path("seen").iterdir())) == 1, "two pairs, of one finger"

    (line,) = run(capsys, "search", "g", "set/3_2.png", "--json", "--top", "2")
    answer = json.loads(line)
    assert answer["decided"] and len(answer["candidates"]) == 2 and answer["size"] == 10
    assert answer["candidates"][0]["fpir"]["value"] < 0.001

    assert run(capsys, "verify", "g", "set/3", "set/3_1.png")[-1].startswith("accepted at FMR")
    assert run(capsys, "verify", "g", "set/3", "set/4_1.png")[-1].startswith("rejected at FMR")
    assert run(capsys, "list", "g")[0].split("\t")[:2] == [id, "set/1"]
    assert json.loads(run(capsys, "list", "g", "--json")[0])["metadata"] == {}

    assert run(capsys, "remove", "g", "set/1", "set/2")[0].startswith("4 prints removed; older")
    assert run(capsys, "remove", "g", "set/3", "--purge") == ["2 prints removed"]
    nobody = run(capsys, "search", "g", "set/3_2.png")
    assert nobody[0].startswith("set/3_2.png: nobody, at FPIR 0.1 %, 4 prints")


def test_a_table_says_whose_the_prints_are(folder, capsys) -> None:
    lines = ["path;subject;finger;ppi;case", "set/1_1.png;ann;left thumb;500;A7"]
    lines.append("set/2_1.png;bob;;;")
    Path("t.csv").write_text("\n".join(lines), encoding="utf-8")
    run(capsys, "enroll", "g", "--table", "t.csv")
    first, second = (json.loads(line) for line in run(capsys, "list", "g", "--json"))
    assert (first["subject"], first["finger"]) == ("ann", "left thumb")
    assert first["metadata"] == {"case": "A7"} and second["subject"] == "bob"
    assert second["ppi"] == 500 and second["metadata"] == {}
    found = run(capsys, "search", "g", "set/1_2.png")
    assert found[0] == "set/1_2.png: undecided, since no print is kept; 2 prints"
    assert found[2].split("\t")[1] == "-"
    assert found[-1] == "score -: compared by dense maps alone"
    said = complaint(capsys, "verify", "g", "ann", "set/1_2.png")
    assert said == "the claim cannot be decided: no print of theirs is kept"
    Path("t.csv").write_text("path,ppi\nset/1_1.png,many\n", encoding="utf-8")
    said = complaint(capsys, "enroll", "g", "--table", "t.csv")
    assert said.startswith("t.csv, line 2, column ppi: 'many' is no number")


def test_metadata_and_refusals(folder, capsys) -> None:
    Path("blank.txt").write_text("no print", encoding="utf-8")
    said = ["enroll", "g", "set/1_1.png", "blank.txt", "--metadata", "case=A7"]
    assert complaint(capsys, *said) == "1 of 2 prints were refused, see above"
    assert json.loads(run(capsys, "list", "g", "--json")[0])["metadata"] == {"case": "A7"}


def test_doubles_are_written_with_their_pictures(folder, capsys) -> None:
    run(capsys, "enroll", "g", "set", "--keep-prints")
    run(capsys, "remove", "g", "set/5")
    run(capsys, "enroll", "g", "set/5_1.png", "--subject", "eve", "--keep-prints")
    run(capsys, "enroll", "g", "set/5_2.png", "--subject", "mallory", "--keep-prints")
    told = run(capsys, "dedupe", "g", "--evidence", "seen")
    assert told == ["1 pairs of 10 prints in doubles.csv; 4.5e-05 expected by chance"]
    (row,) = csv.DictReader(Path("doubles.csv").read_text(encoding="utf-8").splitlines())
    assert {row["name0"], row["name1"]} == {"set/5_1.png", "set/5_2.png"}
    assert row["score"] == "0.9000" and len(list(Path("seen").iterdir())) == 1


def test_upkeep(folder, capsys, monkeypatch) -> None:
    run(capsys, "enroll", "g", "set", "--keep-prints")
    assert run(capsys, "gallery", "count", "g") == ["10"]
    assert run(capsys, "gallery", "check", "g") == ["10 prints, each as it was written"]
    assert run(capsys, "gallery", "compact", "g") == ["10 prints in g"]
    assert run(capsys, "gallery", "purge", "g") == ["10 prints in g"]
    assert run(capsys, "gallery", "backup", "g", "--out", "copy") == ["10 prints copied to copy"]
    assert run(capsys, "gallery", "upgrade", "g") == ["0 prints embedded anew"]
    monkeypatch.setattr(Matcher, "from_checkpoints", lambda *_: FakeMatcher(seed=3))
    assert "run `ifvit gallery upgrade g`" in complaint(capsys, "search", "g", "set/1_1.png")
    assert run(capsys, "gallery", "upgrade", "g") == ["10 prints embedded anew"]
    assert run(capsys, "search", "g", "set/1_1.png")[0].startswith("set/1_1.png: set/1, at")


def test_a_key_is_asked_for(folder, capsys, monkeypatch) -> None:
    Path("key").write_text("0f" * 32, encoding="utf-8")
    run(capsys, "enroll", "g", "set", "--keep-prints", "--key-file", "key")
    assert "is encrypted: give its key by --key-file" in complaint(capsys, "list", "g")
    monkeypatch.setenv("IFVIT_GALLERY_KEY", "0f" * 32)
    assert len(run(capsys, "list", "g")) == 10


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["enroll", "g"], "expected prints to enrol"),
        (["enroll", "g", "none.png"], "no such file or folder of prints: none.png"),
        (["enroll", "g", "set", "--metadata", "case"], "--metadata case: expected NAME=VALUE"),
        (["search", "none", "set/1_1.png"], "none is no gallery: expected one that `ifvit enroll"),
        (["search", "none"], "no probe given"),
        (["search", "none", "set/1_1.png", "--top", "0"], "--top 0: expected at least 1"),
        (["verify", "none"], "expected the id or subject"),
        (["remove", "none"], "nobody to remove"),
        (["gallery", "backup", "none"], "--out is where a backup goes"),
        (["list", "none", "--key-file", "nokey"], "no such key file: nokey"),
    ],
)
def test_what_is_wrong_is_one_line(folder, capsys, arguments, said) -> None:
    assert complaint(capsys, *arguments).startswith(said)


def test_a_rate_that_cannot_be_promised_is_one_line(folder, capsys, monkeypatch) -> None:
    run(capsys, "enroll", "g", "set", "--keep-prints")
    assert "--fpir 2: expected a rate between 0 and 1" in complaint(
        capsys, "search", "g", "set/1_1.png", "--fpir", "2"
    )
    few = FakeMatcher()
    few.decision = few.decision.calibrated(few.decision.impostor[::10].tolist(), "settings")
    monkeypatch.setattr(Matcher, "from_checkpoints", lambda *_: few)
    assert "no threshold for an FMR" in complaint(capsys, "search", "g", "set/1_1.png")


def test_without_the_extra_the_way_out_is_named() -> None:
    code = (
        "import sys; sys.modules['lancedb'] = None\n"
        "from ifvit.cli import main; sys.exit(main(['list', 'g']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "pip install 'ifvit[gallery]'" in done.stderr
    assert done.stderr.count("\n") == 1
    code = "import sys; sys.modules['lancedb'] = None\nimport ifvit; ifvit.Gallery"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stderr.splitlines()[-1].endswith("pip install 'ifvit[gallery]'")


def test_the_client_of_catalogues_is_left_out_until_somebody_uses_it() -> None:
    code = (
        "import sys, ifvit.gallery.row_store\n"
        "client = 'lance_namespace_urllib3_client'\n"
        "assert f'{client}.models' in sys.modules\n"
        "assert f'{client}.api' not in sys.modules\n"
        "from lance_namespace_urllib3_client import TableApi, __version__\n"
        "assert TableApi.__module__ == f'{client}.api.table_api' and __version__\n"
        "import lance_namespace_urllib3_client as whole\n"
        "assert not hasattr(whole, 'nothing')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


ODD = (b"Jos\xe9", "Jos\u00e9".encode(), "\u6307".encode(), b"it's", b"a\\b", b"\xff\xfe")
"""Names as shells of any encoding give them."""


@pytest.mark.parametrize("name", ODD)
def test_whoever_was_enrolled_is_found_by_the_same_name(folder, capsys, name) -> None:
    whose = os.fsdecode(name)
    run(capsys, "enroll", "g", "set/1_1.png", "--subject", whose, "--finger", whose)
    run(capsys, "enroll", "g", "set/2_1.png", "--subject", "somebody", "--finger", whose)
    assert main(["verify", "g", whose, "set/1_2.png", "--finger", whose]) in (0, 2)
    assert "nobody" not in (said := capsys.readouterr().err) and "failed" not in said
    assert run(capsys, "remove", "g", whose, "--finger", whose)[0].startswith("1 prints removed")
    assert "nobody in the gallery" in complaint(capsys, "remove", "g", whose)


@pytest.mark.parametrize("verb", [["enroll", "{}", "set"], ["serve", "--gallery", "{}"]])
def test_a_folder_that_the_engine_cannot_name_is_refused_in_words(folder, capsys, verb) -> None:
    given = [word.format(os.fsdecode(b"g\xff")) for word in verb]
    assert "its name is no UTF-8" in complaint(capsys, *given)


@pytest.mark.parametrize("column", ["subject", "finger", "note"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1", "cp850"])
def test_a_table_is_kept_as_it_was_meant_or_refused(folder, capsys, column, encoding) -> None:
    Path("t.csv").write_bytes(f"path,{column}\nset/1_1.png,Jos\u00e9\n".encode(encoding))
    if encoding.startswith("utf"):
        run(capsys, "enroll", "g", "--table", "t.csv")
        assert "Jos\u00e9" in json.dumps(
            run(capsys, "list", "g", "--json"), ensure_ascii=False
        ) or ("Jos\\u00e9" in run(capsys, "list", "g", "--json")[0])
    else:
        said = complaint(capsys, "enroll", "g", "--table", "t.csv")
        assert (
            f"t.csv, line 2, column {column}" in said and "save the table as CSV in UTF-8" in said
        )


def test_the_table_of_a_synthetic_set_is_as_good_as_its_folder(folder, capsys) -> None:
    """As `ifvit synth` writes it, with another column for the files."""
    prints = sorted(Path("set").glob("*.png"))
    lines = [f"{p.name},{p.stem[0]},{p.stem[2]},loop,optical,0.0,0,500" for p in prints]
    header = "file,finger,impression,pattern,sensor,rotation_deg,seed,ppi"
    Path("set", "manifest.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    for gallery, given in (("g", ["set"]), ("h", ["--table", "set/manifest.csv"])):
        run(capsys, "enroll", gallery, *given)
    listed = [
        [row.split("\t")[:4] for row in run(capsys, "list", gallery)] for gallery in ("g", "h")
    ]
    assert listed[0] == listed[1]


def test_prints_of_one_name_in_two_folders_are_told_apart(folder, capsys) -> None:
    run(capsys, "enroll", "g", "set", "--keep-prints")
    for name in ("a", "b"):
        Path(name).mkdir()
        shutil.copy(Path("set", "1_1.png" if name == "a" else "2_1.png"), Path(name, "p.png"))
    run(capsys, "search", "g", "a/p.png", "b/p.png", "--top", "1", "--evidence", "seen")
    assert len(list(Path("seen").iterdir())) == 2
    assert {path.name.partition("_")[0] for path in Path("seen").iterdir()} == {"p.1", "p.2"}


@pytest.mark.parametrize("sign", "\t\n\r\x0b\x1b\x85\u2028")
def test_a_line_is_a_print_whatever_its_name(folder, capsys, sign) -> None:
    """Tabs and ends of lines within names would shift the columns of what a script reads."""
    name = f"n{sign}a.png"
    shutil.copy("set/1_1.png", name)
    assert len(run(capsys, "enroll", "g", name)[0].split("\t")) == 3
    (line,) = run(capsys, "list", "g")
    assert line.count("\t") == 4 and line.replace("\t", "").isprintable()
    assert run(capsys, "search", "g", name)[0].startswith("n\\")
