"""Which run a folder holds: by what its prints are, never by what they are called."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from ifvit.comparison.decision import DECISION, load_decision, save_decision
from ifvit.data.names import print_name
from ifvit.data.prints import Print
from ifvit.data.readers import read_dataset
from ifvit.evaluation.calibrate import calibrate
from ifvit.evaluation.evaluate import _compare_anew, _Extracted, _go_on
from ifvit.evaluation.protocols import Pair, all_pairs
from ifvit.evaluation.resume import (
    RUN_FILE,
    SCORES_FILE,
    begin,
    check_weights,
    describe_run,
    warn_of_parts,
)
from ifvit.evaluation.scores import ScoreRow, read_scores, write_scores
from ifvit.locks import folder_lock

WEIGHTS = {
    "dense_ckpt_sha256": "d" * 64,
    "matcher_ckpt_sha256": "e" * 64,
    "fingerprint": "f" * 64,
    **DECISION.record,
}
"""What a run records of a matcher."""


OWN = (RUN_FILE, SCORES_FILE, ".lock")
"""Files of a run; others in its folder were kept aside."""


class Readable(_Extracted):
    """Prints, all of which can be read: what is compared is what their files hold."""

    def __init__(self, prints: list[Print]) -> None:
        self.prints, self.compared = prints, []

    def __getitem__(self, index: int) -> bytes | None:
        content = self.prints[index].path.read_bytes()
        return None if content.startswith(b"bad") else content

    def score(self, names, few: list[Pair]) -> list[ScoreRow]:
        rows = []
        for pair in few:
            self.compared.append(pair[:2])
            both = self[pair.index0], self[pair.index1]
            named = names[pair.index0], names[pair.index1]
            if None in both:
                rows.append(
                    ScoreRow(*named, int(pair.genuine), *[float("nan")] * 3, -1.0, 0, "failed")
                )
                continue
            value = random.Random(b"".join(both)).uniform(-1, 1)
            rows.append(ScoreRow(*named, int(pair.genuine), value, value, value, value, 3, "ok"))
        return rows


def made_set(root: Path, seed: int, fingers: int = 3, impressions: int = 2) -> Path:
    root.mkdir(parents=True)
    for finger in range(1, fingers + 1):
        for number in range(1, impressions + 1):
            content = f"{seed} {finger} {number}".encode()
            (root / f"{finger}_{number}.png").write_bytes(content)
    return root


def run(root: Path, out: Path, stop: int | None = None, ppi: int = 500, **settings):
    """Do what ``evaluate`` does, with scores that are cheap; return the pairs that it compared."""
    prints = [replace(one, ppi=ppi) for one in read_dataset(root)]
    pairs = all_pairs(prints)
    names = [print_name(one, root) for one in prints]
    settings = {"mode": "pair", "enhancer": "gabor", "canvas": None, **WEIGHTS, **settings}
    record = describe_run(settings, root, prints, pairs, names)
    out.mkdir(exist_ok=True)
    readable = Readable(prints)
    with folder_lock(out, "evaluating", "--out"):
        found = begin(out, record, pairs, names)
        _compare_anew(
            out, found, record, pairs, readable, lambda few: readable.score(names, few), 1
        )
        if stop != 0:
            _go_on(
                out, len(found.rows), "pair", pairs[:stop], lambda f: readable.score(names, f), 1
            )
    return readable.compared


def expected(root: Path, folder: Path) -> bytes:
    run(root, folder)
    return (folder / SCORES_FILE).read_bytes()


def test_two_sets_of_the_same_names_are_two_runs(tmp_path):
    """FVC2000/DB1_B and FVC2002/DB1_B, with the default --out."""
    first = made_set(tmp_path / "2000" / "DB1_B", 0)
    second = made_set(tmp_path / "2002" / "DB1_B", 1)
    run(first, tmp_path / "out")
    with pytest.raises(ValueError, match=r"another run: root was .*2000.* and is .*2002"):
        run(second, tmp_path / "out")
    with pytest.raises(ValueError, match="another run: mode was pair and is template"):
        run(first, tmp_path / "out", mode="template")
    assert run(first, tmp_path / "out") == []


KNOWN_BY = ("version", "comparisons", "comparisons_sha256", "mode", "enhancer", "canvas", *WEIGHTS)


@pytest.mark.parametrize("name", KNOWN_BY)
def test_each_thing_that_a_run_is_known_by_makes_another(tmp_path, monkeypatch, name):
    """The version too: another may score the same prints otherwise."""
    root, out, other = made_set(tmp_path / "set", 0), tmp_path / "out", dict[str, str]()
    run(root, out, stop=4)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.name != ".lock"}
    if name == "version":
        monkeypatch.setattr("ifvit.evaluation.resume.version", lambda _: "0.0.1")
    elif name == "comparisons":
        (root / "4_1.png").write_bytes(b"one more")
    elif name == "comparisons_sha256":
        (root / "3_2.png").rename(root / "3_3.png")
    else:
        other = {name: "another"}
    with pytest.raises(ValueError, match=rf"another run: {name} was .* and is .*another --out"):
        run(root, out, **other)
    assert before == {path.name: path.read_bytes() for path in out.iterdir() if path.name in before}


def test_a_changed_print_is_compared_anew_and_only_it(tmp_path):
    """Random changes between random stops: the table is always that of the prints as they are."""
    root, out, draw = made_set(tmp_path / "set", 0), tmp_path / "out", random.Random(0)
    run(root, out, stop=0)
    for turn in range(25):
        names = draw.sample(sorted(p.name for p in root.iterdir()), draw.choice([0, 1, 2]))
        for name in names:
            kind = draw.choice(["content", "touched", "bad"])
            if kind == "touched":
                os.utime(root / name, (turn, turn))
            else:
                (root / name).write_bytes(f"{'bad' if kind == 'bad' else turn} {name}".encode())
                os.utime(root / name, (turn, turn))
        before = len(read_scores(out / SCORES_FILE))
        compared = run(root, out, stop=draw.choice([before, before + 2, None]))
        listed = [p.path.name for p in read_dataset(root)]
        again = [
            pair
            for pair in compared
            if pair in [p[:2] for p in all_pairs(read_dataset(root))[:before]]
        ]
        assert all(listed[a] in names or listed[b] in names for a, b in again)
        whole = expected(root, tmp_path / f"whole{turn}")
        assert whole.startswith((out / SCORES_FILE).read_bytes())
    run(root, out)
    assert (out / SCORES_FILE).read_bytes() == whole


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_changed_prints_are_compared_though_a_run_stops_at_any_file(
    tmp_path, monkeypatch, seed, at
):
    """At the table, at the record, or after both: until both are there the next run compares."""
    root, out, draw = made_set(tmp_path / "set", 0), tmp_path / "out", random.Random(seed)
    run(root, out)
    for name in draw.sample(sorted(p.name for p in root.iterdir()), draw.choice([1, 2])):
        (root / name).write_bytes(f"{seed} {name}".encode())
    replace, written = os.replace, [0]

    def stopping(source: Path, target: Path) -> None:
        written[0] += 1
        if written[0] == at:
            raise OSError(28, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as stopped, suppress(OSError):
        stopped.setattr(os, "replace", stopping)
        run(root, out)
    run(root, out)
    assert (out / SCORES_FILE).read_bytes() == expected(root, tmp_path / "whole")


@pytest.mark.parametrize("ppi", [250, 569, 1000])
def test_prints_of_another_resolution_are_compared_anew(tmp_path, ppi):
    """As a changed column of a table of prints says: their files are those of before."""
    root, out = made_set(tmp_path / "set", 0), tmp_path / "out"
    run(root, out)
    assert run(root, out) == []
    assert len(run(root, out, ppi=ppi)) == 15
    assert run(root, out, ppi=ppi) == []


@pytest.mark.parametrize("stop", [0, 1, None])
def test_what_killed_runs_left_beside_a_table_is_swept(tmp_path, stop):
    """One killed while it wrote, and the next before it swept: then nothing writes the table."""
    root, out = made_set(tmp_path / "set", 0), tmp_path / "out"
    run(root, out, stop=stop)
    left = [out / f".{name}.99999.{'ab' * 8}.tmp" for name in (SCORES_FILE, RUN_FILE)]
    for path in left:
        path.write_bytes(b"half")
    run(root, out)
    assert not [path for path in left if path.exists()]


def test_a_mended_print_loses_its_failed_rows(tmp_path):
    """Though its size and its date are those of before."""
    root, out = made_set(tmp_path / "set", 0), tmp_path / "out"
    path = root / "2_1.png"
    good, stat = path.read_bytes(), path.stat()
    path.write_bytes(b"bad" + good[3:])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    run(root, out)
    assert any(row.status == "failed" for row in read_scores(out / SCORES_FILE))
    path.write_bytes(good)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert len(run(root, out)) == 5
    assert (out / SCORES_FILE).read_bytes() == expected(root, tmp_path / "whole")


def test_a_damaged_state_is_named_kept_aside_and_made_again(tmp_path, caplog):
    root, draw = made_set(tmp_path / "set", 0), random.Random(3)
    whole = expected(root, tmp_path / "whole")
    record = (tmp_path / "whole" / RUN_FILE).read_bytes()
    for turn in range(60):
        out = tmp_path / f"out{turn}"
        shutil.copytree(tmp_path / "whole", out)
        file = draw.choice([RUN_FILE, SCORES_FILE])
        content = bytearray(record if file == RUN_FILE else whole)
        kind = draw.choice(["empty", "cut", "text", "rows twice", "gone", "zeros", "order"])
        if kind == "gone":
            (out / file).unlink()
        else:
            if kind == "empty":
                content = bytearray()
            elif kind == "cut":
                del content[draw.randrange(len(content)) :]
            elif kind == "zeros":
                content = bytearray(len(content))
            elif kind == "text":
                content[draw.randrange(len(content)) :] = b"?" * 40 + b"\r\n"
            elif kind == "order":
                header, *lines = bytes(content).splitlines(True)
                content = bytearray(b"".join([header, *lines[::-1]]))
            else:
                content += content[content.index(b"\n") + 1 :]
            (out / file).write_bytes(content)
        caplog.clear()
        caplog.set_level(logging.INFO, "ifvit")
        try:
            compared = run(root, out)
        except ValueError as error:  # such as a record that is whole, and of another run
            assert "choose another --out" in str(error)
            continue
        assert (out / SCORES_FILE).read_bytes() == whole, kind
        kept = {p.name: p.read_bytes() for p in out.iterdir() if p.name not in OWN}
        if kept and kind != "gone":
            assert kind == "zeros" or file in caplog.text or "kept" in caplog.text
        rows = content.count(b"\n") - 1
        if file == SCORES_FILE and kind == "cut" and rows >= 0:
            assert len(compared) == 15 - rows, "rows that were whole are compared again"
        elif file == SCORES_FILE and kind in ("text", "rows twice", "order"):
            assert bytes(content) in kept.values(), f"{kind}: what was there is lost"
        elif file == RUN_FILE and kind != "gone" and content.strip() != record.strip():
            # Without its record a table is nobody's.
            assert {bytes(content), whole} <= {*kept.values()}, f"{kind}: what was there is lost"


@pytest.mark.parametrize("size", [1, 2, 4])
def test_rows_are_in_the_file_before_the_next_are_compared(tmp_path, size):
    """A process that is killed loses no more than what it is at."""
    root, out = made_set(tmp_path / "set", 0), tmp_path / "out"
    prints = read_dataset(root)
    pairs, names = all_pairs(prints), [print_name(one, root) for one in prints]
    readable, seen = Readable(prints), list[int]()
    out.mkdir()
    begin(out, describe_run(WEIGHTS, root, prints, pairs, names), pairs, names)

    def score(few: list[Pair]) -> list[ScoreRow]:
        seen.append(len(read_scores(out / SCORES_FILE)))
        return readable.score(names, few)

    _go_on(out, 0, "pair", pairs, score, size)
    assert seen == list(range(0, len(pairs), size))


@pytest.mark.parametrize("other", [None, 0, 1])
def test_a_table_is_not_drawn_by_other_weights(tmp_path, other):
    """A report's pictures would tell other scores than its table."""
    run(made_set(tmp_path / "set", 0), tmp_path / "out")
    table, known = tmp_path / "out" / SCORES_FILE, [*WEIGHTS.values()][:2]
    if other is None:
        check_weights(table, *known)
        (tmp_path / "out" / RUN_FILE).unlink()
        return check_weights(table, "nobody's", "nobody's")
    known[other] = "another"
    with pytest.raises(ValueError, match=r"is of other weights .*--dense-ckpt and --matcher-ckpt"):
        check_weights(table, *known)


def test_two_runs_in_one_folder_are_one_too_many(tmp_path):
    root, out = made_set(tmp_path / "set", 0), tmp_path / "out"
    out.mkdir()
    code = (
        "import sys; from pathlib import Path; from ifvit.locks import folder_lock\n"
        "with folder_lock(Path(sys.argv[1]), 'evaluating', '--out'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(
            ValueError, match=rf"process {other.pid}, is evaluating .* another --out"
        ):
            run(root, out)
        other.kill()
    run(root, out)


def test_only_whole_tables_of_one_kind_calibrate(tmp_path):
    """Every way to have a comparison twice, not at all, or of something else."""
    first, second = made_set(tmp_path / "a" / "set", 0), made_set(tmp_path / "b" / "set", 1)
    tables = []
    for number, root in enumerate((first, second)):
        run(root, tmp_path / f"out{number}")
        tables.append(tmp_path / f"out{number}" / SCORES_FILE)
    out = tmp_path / "calibration.json"
    made = calibrate(tables, out, WEIGHTS["matcher_ckpt_sha256"])
    scores = sorted(r.score for t in tables for r in read_scores(t) if not r.label)
    assert made.impostor.tolist() == load_decision(out).impostor.tolist() == scores
    for own in (tables[0], tables[1].with_name(RUN_FILE)):
        before = own.read_bytes()
        with pytest.raises(ValueError, match="is what this command reads"):
            calibrate(tables, own, WEIGHTS["matcher_ckpt_sha256"])
        assert own.read_bytes() == before
    shutil.copytree(tmp_path / "out0", tmp_path / "copy")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "out0")
    for twice in (tables[0], tmp_path / "copy" / SCORES_FILE, link / SCORES_FILE):
        with pytest.raises(ValueError, match="have no comparison in common"):
            calibrate([tables[0], twice], out, WEIGHTS["matcher_ckpt_sha256"])
    rows = read_scores(tables[0])
    run(first, tmp_path / "partial", stop=5)
    with pytest.raises(ValueError, match="has 5 of 15 comparisons"):
        calibrate([tmp_path / "partial" / SCORES_FILE], out, WEIGHTS["matcher_ckpt_sha256"])
    for wrong in (
        [*rows, rows[-1]],
        [*rows[:-1], rows[0]],
        rows[::-1],
        [replace(rows[0], label=0), *rows[1:]],
        [replace(rows[0], name0="other.png"), *rows[1:]],
    ):
        write_scores(wrong, tmp_path / "copy" / SCORES_FILE)
        with pytest.raises(ValueError, match=r"other rows than its run|already; write"):
            calibrate([tmp_path / "copy" / SCORES_FILE], out, WEIGHTS["matcher_ckpt_sha256"])
    write_scores(
        [*rows[:-1], replace(rows[-1], score=float("inf"))], tmp_path / "copy" / SCORES_FILE
    )
    with pytest.raises(ValueError, match="line 16: score is inf"):
        calibrate([tmp_path / "copy" / SCORES_FILE], out, WEIGHTS["matcher_ckpt_sha256"])
    run(second, tmp_path / "version")
    record = json.loads((tmp_path / "version" / RUN_FILE).read_text())
    (tmp_path / "version" / RUN_FILE).write_text(json.dumps(record | {"version": "0.0.1"}))
    with pytest.raises(ValueError, match="different versions of ifvit"):
        calibrate(
            [tables[0], tmp_path / "version" / SCORES_FILE], out, WEIGHTS["matcher_ckpt_sha256"]
        )
    (tmp_path / "version" / RUN_FILE).write_text("{}")
    with pytest.raises(ValueError, match="does not say canvas"):
        calibrate([tmp_path / "version" / SCORES_FILE], out, WEIGHTS["matcher_ckpt_sha256"])


def test_no_damaged_table_gives_a_score_that_was_not_written(tmp_path):
    rows = [
        ScoreRow("1_1", "1_2", 1, 0.5, 0.25, 0.6, 0.4, 31, "ok", "1", "1", 0.5, 0.25, 80.0),
        ScoreRow("1_1", "2_1", 0, -0.1, 0.2, 0.1, 0.02, 9, "ok", "1", "2", 0.5, 0.25, 80.0),
    ]
    path = tmp_path / SCORES_FILE
    values = ["inf", "-inf", "1e30", "5", "-5", "x", "", "1e999", "0x1", "１", "True", "None"]
    for field in asdict(rows[0]):
        if field.startswith(("name", "finger")):
            continue
        for value in [*values, "nan"]:
            others = ("overlap_mm2", "quality0", "quality1")
            if value == "nan" and field in ("ridge_ncc", "block_share", "coverage", *others):
                continue  # what was not computed
            if value == "5" and field in ("num_inliers", *others):
                continue
            write_scores(rows, path)
            lines = path.read_text().splitlines()
            cells = lines[2].split(",")
            cells[list(asdict(rows[0])).index(field)] = value
            path.write_text("\n".join([*lines[:2], ",".join(cells)]) + "\n", encoding="utf-8")
            with pytest.raises(ValueError, match=r"scores\.csv, line 3: "):
                print(field, value, read_scores(path))


def test_no_damaged_calibration_gives_a_rate(tmp_path):
    path, draw = tmp_path / "calibration.json", random.Random(4)
    save_decision(path, DECISION.calibrated([draw.uniform(-1, 1) for _ in range(40)], "c"))
    whole = json.loads(path.read_text())
    nested: object = whole["impostor"]
    for impostor in (
        *([], [[0.5]], [nested, nested], "text", ["0.5"], [None], [True], {"0": 0.5}, 0.5, None),
        *([float("nan")], [float("inf")], [-float("inf")], [1e308], [2.0], [-1.5], [10**400]),
    ):
        path.write_text(json.dumps({**whole, "impostor": impostor}))
        with pytest.raises(ValueError, match=r"calibration\.json cannot be read"):
            load_decision(path)
    for key in ("dense_sha256", "matcher_sha256", "fingerprint", "version"):
        path.write_text(json.dumps({**whole, key: 3}))
        with pytest.raises(ValueError, match=r"calibration\.json cannot be read"):
            load_decision(path)
    with pytest.raises(ValueError, match="no FMR"):
        DECISION.calibrated([0.0], "c").fmr(float("nan"))


@pytest.mark.parametrize("seed", range(20))
def test_a_threshold_lets_no_more_pass_than_it_says_after_the_file(tmp_path, seed):
    """Scores that lie closer together than six digits tell."""
    draw = random.Random(seed)
    scores = [0.5 + draw.uniform(-2e-6, 2e-6) for _ in range(199)]
    save_decision(tmp_path / "c.json", DECISION.calibrated(scores, "c"))
    found = load_decision(tmp_path / "c.json")
    for rate in (0.005, 0.01, 0.05, 0.1, 0.5, 1.0):
        passed = sum(score >= found.threshold(rate) for score in scores)
        assert (passed + 1) / 200 <= rate + 1e-12 or rate == 1.0
        assert passed == min(int(rate * 200 + 1e-9) - 1, 199)


@pytest.mark.parametrize("stop", [1, 5, 14, None])
@pytest.mark.parametrize("record", ["whole", "damaged", "none"])
def test_figures_of_a_part_say_so(tmp_path, caplog, stop, record):
    """A run that was stopped has a table like any other, and `ifvit report` reads it."""
    run(made_set(tmp_path / "a" / "set", 0), tmp_path / "out", stop=stop)
    table = tmp_path / "out" / SCORES_FILE
    if record == "damaged":
        table.with_name(RUN_FILE).write_text('{"comparisons":')
    elif record == "none":
        table.with_name(RUN_FILE).unlink()
    caplog.clear()
    warn_of_parts(table, read_scores(table))
    said = caplog.text
    if record == "whole":
        assert (f"has {stop} of 15 comparisons" in said) == (stop is not None)
    assert bool(said) == (record == "damaged" or (record == "whole" and stop is not None))
