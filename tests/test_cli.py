"""The command line in process: results, exit codes, and errors of exactly one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import torch
from PIL import Image

from ifvit import commands
from ifvit.cli import main, parse
from ifvit.commands import COMMANDS, SHARED, command
from ifvit.comparison.decision import DECISION_FILE, Decision, save_decision
from ifvit.gallery.template import load_templates
from ifvit.matcher import Matcher
from ifvit.presets import DENSE_PRESETS
from ifvit.weights.convert import TABLE
from ifvit.weights.loftr import transformer_shapes
from ifvit.weights.storage import DENSE_FILE, MATCHER_FILE


@dataclass(frozen=True)
class Checkpoints:
    """Both modules with random weights; only their plumbing is tested."""

    dense: str
    matcher: str

    @classmethod
    def of(cls, folder: Path) -> Checkpoints:
        """The two that lie in a folder."""
        return cls(str(folder / DENSE_FILE), str(folder / MATCHER_FILE))

    @property
    def flags(self) -> list[str]:
        """The options that name them."""
        return ["--dense-ckpt", self.dense, "--matcher-ckpt", self.matcher]


@pytest.fixture(scope="session")
def ckpts(exported) -> Checkpoints:
    """Both modules with their graphs, for which nothing compiles; not to be changed."""
    return Checkpoints.of(exported / "small")


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must fail; return its one line without the prefix."""
    capsys.readouterr()
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and captured.err.endswith("\n")
    assert captured.err.startswith("ifvit: error: ") and "Traceback" not in captured.err
    return captured.err.removeprefix("ifvit: error: ").strip()


# Usage


def test_without_a_command_it_shows_how_it_is_used(capsys):
    assert main([]) == 2
    shown = capsys.readouterr().out
    assert all(command in shown for command in COMMANDS)
    assert main(["--help"]) == 0
    assert "usage: ifvit COMMAND" in capsys.readouterr().out


def test_an_unknown_command_names_the_known_ones(capsys):
    line = complaint(capsys, "mtach", "a.png", "b.png")
    assert line.startswith("unknown command 'mtach'") and "match" in line


def test_every_verb_has_a_file_and_every_file_is_of_a_verb():
    files = {path.stem for path in Path(commands.__file__).parent.glob("*.py")} - {"__init__"}
    assert files - {*SHARED} == {verb.replace("-", "_") for verb in COMMANDS}


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_load_no_numeric_library(argument):
    code = (
        "import sys; from ifvit.cli import main; "
        f"assert main([{argument!r}]) == 0; "
        "heavy = {'jax', 'numpy', 'cv2', 'flax', 'PIL', 'tyro'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("command", ["train-dense", "train-match"])
@pytest.mark.parametrize("flag", [["--preset", "huge"], ["--preset=huge"], ["--preset"]])
def test_an_unknown_preset_names_the_known_ones(capsys, command, flag):
    line = complaint(capsys, command, *flag)
    assert line.startswith("unknown preset") and "paper, small, tiny" in line


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_command_has_help(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert f"usage: ifvit {verb}" in shown
    assert ("--preset {paper,small,tiny}" in shown) == verb.startswith("train-")


def settings_in(kind: type) -> int:
    """How many settings a class has, those of its groups included."""
    kinds = [get_type_hints(kind)[one.name] for one in fields(kind)]
    return sum(settings_in(one) if is_dataclass(one) else 1 for one in kinds)


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_option_has_its_sentence(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    boxed = re.findall(r"^[│ ] (.*?)│?$", capsys.readouterr().out, re.MULTILINE)
    entries = re.split(r"^(?=[-A-Z\[])", "\n".join(boxed), flags=re.MULTILINE)
    options = [entry for entry in entries if re.match(r"(?!-h|---)\S", entry)]
    assert len(options) >= settings_in(command(verb).Settings)
    for option in options:
        said = re.sub(r"\s+\((default:\s.*|required|repeatable)\)\s*$", "", option, flags=re.DOTALL)
        assert said.rstrip().endswith("."), said


@pytest.mark.parametrize("verb", ["train-dense", "train-match"])
def test_the_help_of_a_training_shows_its_groups(verb, capsys, monkeypatch):
    """Each in a box of its own, with its sentence, and the options of its settings alone."""
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    # Boxes are drawn by lines, or by hyphens where the terminal has no others.
    parts = re.split(r"^(?:╭─)? (\w+) options\b", capsys.readouterr().out, flags=re.MULTILINE)
    shown = dict(zip(parts[1::2], parts[2::2], strict=True))
    kinds = get_type_hints(command(verb).Settings)
    assert set(shown) == set(kinds)
    for group, kind in kinds.items():
        prefix = "model." if group == "model" else ""
        options = set(re.findall(r"^[│ ] +--([A-Za-z][\w.-]*)", shown[group], re.MULTILINE))
        assert options == {prefix + one.name.replace("_", "-") for one in fields(kind)}
        sentence, *_ = re.findall(r"^[│ ] +(\w.*)", shown[group], re.MULTILINE)
        assert sentence.split()[:4] == kind.__doc__.split()[:4]


def test_settings_of_two_groups_that_do_not_go_together_are_refused(capsys):
    line = complaint(capsys, "train-dense", "--batch-size", "8", "--accumulate", "3")
    assert line == "accumulate is 3: expected a divisor of batch_size, 8"


def test_an_unknown_flag_ends_with_2(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["train-dense", "--bach-size", "3"])
    assert caught.value.code == 2
    assert "--batch-size" in capsys.readouterr().err


def test_flags_take_hyphens_and_underscores():
    for flag in ("--batch-size", "--batch_size"):
        config = parse("train-dense", ["--preset", "tiny", flag, "3", "--model.d-model", "32"])
        assert (config.optim.batch_size, config.model.d_model) == (3, 32)
        assert config.optim.epochs == DENSE_PRESETS["tiny"].optim.epochs


def test_presets_set_all_values_and_paper_is_the_default():
    assert parse("train-dense", []) == DENSE_PRESETS["paper"]
    assert parse("train-dense", ["--preset=tiny"]) == DENSE_PRESETS["tiny"]
    assert parse("train-dense", ["--seed", "4", "--preset", "tiny"]).run.seed == 4


# Bad prints


def png_header(width: int, height: int) -> bytes:
    """A PNG whose header promises a size that its data do not have."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def bad_print(kind: str, path: Path) -> None:
    if kind == "text":
        path.write_text("not an image\n" * 100, encoding="utf-8")
    elif kind == "empty":
        path.touch()
    elif kind == "pixel":
        Image.new("L", (1, 1)).save(path)
    elif kind == "white":
        Image.new("L", (300, 300), 255).save(path)
    elif kind == "large":
        path.write_bytes(png_header(20_000, 20_000))
    else:
        assert kind == "missing"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", "no such image"),
        ("text", "not an image that can be read"),
        ("empty", "0 bytes"),
        ("pixel", "too small (1×1 px)"),
        ("white", "no fingerprint found"),
        ("large", "too large"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_bad_print_is_one_line(capsys, tmp_path, ckpts, print_folder, kind, reason, place):
    path, good = tmp_path / "bad.png", str(print_folder / "1_1.png")
    bad_print(kind, path)
    prints = [good, good]
    prints[place] = str(path)
    line = complaint(capsys, "match", *prints, *ckpts.flags)
    assert reason in line and str(path) in line


def test_a_wrong_resolution_is_one_line(capsys, ckpts, print_folder):
    good = str(print_folder / "1_1.png")
    assert "cannot be right" in complaint(capsys, "match", good, good, "--ppi", "7", *ckpts.flags)


# Bad checkpoints


def test_checkpoints_of_the_wrong_module(capsys, trained_pair, print_folder):
    good = str(print_folder / "1_1.png")
    module1, module2 = map(str, trained_pair)
    for dense, matcher in ((module2, module2), (module1, module1)):
        flags = ["--dense-ckpt", dense, "--matcher-ckpt", matcher]
        line = complaint(capsys, "match", good, good, *flags)
        assert "is a checkpoint of Module" in line and "expected Module" in line
    line = complaint(capsys, "train-match", "--pretrained-ckpt", module2)
    assert "is a checkpoint of Module 2" in line


def test_missing_checkpoints(capsys, tmp_path, print_folder):
    good, none = str(print_folder / "1_1.png"), str(tmp_path / "none.safetensors")
    flags = ["--dense-ckpt", none, "--matcher-ckpt", none]
    assert "does not exist" in complaint(capsys, "match", good, good, *flags)
    assert "does not exist" in complaint(capsys, "inspect", none)
    assert "does not exist" in complaint(capsys, "train-match", "--pretrained-ckpt", none)


def test_damaged_checkpoints(capsys, tmp_path, ckpts):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(Path(ckpts.dense).read_bytes()[:1000])
    assert str(path) in complaint(capsys, "inspect", str(path))


def test_module_2_without_module_1(capsys):
    line = complaint(capsys, "train-match", "--preset", "tiny")
    assert "--pretrained-ckpt" in line and "--from-scratch" in line


def test_loftr_weights_are_no_module_1(capsys, tmp_path):
    path = tmp_path / "loftr_transformer.npz"
    np.savez(path, **{"layers.0.q_proj.weight": np.eye(2)})
    line = complaint(capsys, "train-match", "--pretrained-ckpt", str(path))
    assert "never loads directly" in line and "train-dense" in line


def model_flags(micro) -> list[str]:
    widths = [str(width) for width in micro.backbone_widths]
    return [
        *("--model.canvas", str(micro.canvas), "--model.roi-px", str(micro.roi_px)),
        *("--model.d-model", str(micro.d_model), "--model.num-layers", str(micro.num_layers)),
        *("--model.num-heads", str(micro.num_heads), "--model.backbone-widths", *widths),
        *("--model.embedding-dim", str(micro.embedding_dim)),
    ]


def test_another_transformer_is_refused(capsys, ckpts):
    line = complaint(capsys, "train-match", "--pretrained_ckpt", ckpts.dense)
    assert "does not fit this Module 2" in line


def test_a_wrong_number_of_identities(capsys, caplog, ckpts, micro, tmp_path):
    """It says so before the fingers are grown, which takes long."""
    arguments = [
        *("train-match", "--pretrained-ckpt", ckpts.dense, "--num-classes", "7"),
        *("--fingers", "4", "--checkpoint-dir", str(tmp_path)),
    ]
    line = complaint(capsys, *arguments, *model_flags(micro))
    assert line.startswith("num_classes is 7, but there are 4 fingers")
    assert not caplog.records and not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["train-dense", "train-match"])
def test_a_missing_folder_of_prints(capsys, caplog, tmp_path, ckpts, micro, command):
    arguments = [command, "--dataset-root", str(tmp_path / "none"), *model_flags(micro)]
    if command == "train-match":
        arguments += ["--pretrained-ckpt", ckpts.dense]
    assert complaint(capsys, *arguments).startswith("no such folder")
    assert not caplog.records


# What can be known beforehand is


@pytest.fixture
def no_weights(monkeypatch):
    """Fail where weights are loaded."""

    def loaded(*_: object, **__: object) -> None:
        pytest.fail("weights were loaded")

    monkeypatch.setattr(Matcher, "from_checkpoints", loaded)
    monkeypatch.setattr("ifvit.registered_pair.register", loaded)


WRONG_BEFOREHAND = {
    "match": [
        (["GOOD", "GOOD", "--out", "x.xyz"], "cannot be written as .xyz"),
        (["GOOD", "GOOD", "--out", "x"], "a file without an ending"),
        (["GOOD", "COPY.png", "--out", "COPY.png"], "is what this command reads"),
        (["GOOD", "GOOD", "--out", "FOLDER"], "cannot be written as"),
        (["GOOD", "GOOD", "--out", "GOOD/x.png"], "is a file"),
        (["GOOD", "GOOD", "--threshold", "7"], "is not calibrated"),
        (["GOOD", "GOOD", "--threshold", "0.1", "--enhancer", "none"], "is not calibrated"),
        (["GOOD", "GOOD", "--threshold", "0.1", "--calibration", "GOOD"], "cannot be read"),
        (["GOOD", "GOOD", "--threshold", "0.1", "--calibration", "NONE"], "does not exist"),
        (["GOOD", "GOOD", "--ppi", "5"], "cannot be right"),
        (["GOOD", "NONE"], "no such image"),
        (["FOLDER", "GOOD"], "is a folder"),
    ],
    "register": [
        (["GOOD", "GOOD", "--out", "GOOD"], "is a file"),
        (["GOOD", "GOOD", "--ppi", "500", "5"], "cannot be right"),
        (["GOOD", "NONE"], "no such image"),
    ],
    "embed": [
        (["GOOD", "--out", "FOLDER"], "is a folder"),
        (["GOOD", "--out", "GOOD"], "is what this command reads"),
        (["GOOD", "--out", "GOOD/x"], "is a file"),
        (["GOOD", "--ppi", "5"], "cannot be right"),
        (["GOOD", "GOOD"], "is given twice"),
        (["GOOD", "FOLDER/../GOOD"], "is given twice"),
    ],
    "identify": [(["--dataset-root", "FOLDER", "--out", "FOLDER"], "is a folder")],
    "evaluate": [(["--dataset-root", "FOLDER", "--out", "GOOD"], "is a file")],
}


@pytest.mark.parametrize("command", WRONG_BEFOREHAND)
def test_wrong_arguments_are_found_before_weights_load(
    capsys, tmp_path, ckpts, print_folder, no_weights, command, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(print_folder, "FOLDER")
    shutil.copy("FOLDER/1_1.png", "GOOD")
    shutil.copy("FOLDER/1_1.png", "COPY.png")
    before = Path("GOOD").read_bytes()
    flags = ckpts.flags[:2] if command == "register" else ckpts.flags
    for arguments, reason in WRONG_BEFOREHAND[command]:
        assert reason in complaint(capsys, command, *arguments, *flags), arguments
        assert Path("GOOD").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["COPY.png", "FOLDER", "GOOD"]


def test_no_output_takes_the_place_of_its_inputs(capsys, tmp_path, ckpts):
    """The folder of the training given as that of the export, and a PyTorch file as its own."""
    for path in (ckpts.dense, ckpts.matcher):
        shutil.copy(path, tmp_path)
    own = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    flags = [str(tmp_path / Path(path).name) for path in (ckpts.dense, ckpts.matcher)]
    arguments = ["--dense-ckpt", flags[0], "--matcher-ckpt", flags[1]]
    for out in (tmp_path, tmp_path / "." / "x" / ".."):
        line = complaint(capsys, "release", *arguments, "--out", str(out))
        assert "is what this command reads" in line
    torch.save({"x": torch.ones(2)}, tmp_path / "loftr.pt")
    line = complaint(
        capsys,
        "convert-loftr",
        "--pytorch-ckpt",
        str(tmp_path / "loftr.pt"),
        "--output",
        str(tmp_path / "loftr.pt"),
    )
    assert "is what this command reads" in line
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.name != "loftr.pt"} == own


def test_the_result_is_printed_though_the_picture_fails(
    capsys, tmp_path, ckpts, print_folder, monkeypatch
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ifvit.viz.matches.draw_match", full)
    prints = [str(print_folder / name) for name in ("1_1.png", "1_2.png")]
    assert main(["match", *prints, *ckpts.flags, "--out", str(tmp_path / "m.png")]) == 2
    captured = capsys.readouterr()
    assert captured.out.startswith(("score ", "not aligned: ")) and "No space left" in captured.err


def test_bad_prints_among_many_are_named_and_skipped(capsys, caplog, tmp_path, ckpts, print_folder):
    """Each kind of them, between good ones of the same name in another folder."""
    for folder in ("a", "b"):
        shutil.copytree(print_folder, tmp_path / folder)
    good = [str(p) for f in ("a", "b") for p in sorted((tmp_path / f).glob("*_1.png"))]
    bad = []
    for kind in ("missing", "text", "empty", "pixel", "white", "large"):
        bad.append(str(tmp_path / f"{kind}.png"))
        bad_print(kind, Path(bad[-1]))
    mixed = [path for two in zip(good, bad, strict=False) for path in two]
    out = tmp_path / "t.npz"
    assert main(["embed", *mixed, *ckpts.flags, "--out", str(out)]) == 2
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{len(good)} templates of")
    assert f"{len(bad)} of {len(mixed)} prints have no template" in captured.err
    assert all(path in captured.err or path in caplog.text for path in bad)
    assert load_templates(out).names == tuple(good)
    line = complaint(capsys, "embed", bad[0], *ckpts.flags, "--out", str(tmp_path / "no.npz"))
    assert "1 of 1 prints have no template" in line and not (tmp_path / "no.npz").exists()


# Results


def test_synth_writes_prints_and_a_contact_sheet(capsys, tmp_path, print_spec):
    out = tmp_path / "prints"
    size = ["--height", str(print_spec.height), "--width", str(print_spec.width)]
    arguments = ["synth", "--out", str(out), "--fingers", "1", "--impressions", "2", *size]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.out == f"2 prints in {out}; see {out / 'contact_sheet.png'}\n"
    assert "prints" in captured.err  # the progress bar
    names = ["1_1.png", "1_2.png", "contact_sheet.png", "manifest.csv"]
    assert sorted(p.name for p in out.iterdir()) == names
    with Image.open(out / "contact_sheet.png") as sheet:
        assert sheet.width > 2 * print_spec.width * 0.5
    line = complaint(capsys, *arguments)
    assert "holds a data set already" in line


def test_synth_refuses_what_cannot_be_made(capsys, tmp_path):
    line = complaint(capsys, "synth", "--out", str(tmp_path / "x"), "--fingers", "0")
    assert "at least 1" in line
    assert not (tmp_path / "x").exists()


def test_inspect_describes_a_checkpoint(capsys, ckpts):
    assert main(["inspect", ckpts.matcher]) == 0
    out = capsys.readouterr().out
    assert "Module 2 (matcher)" in out and "epoch 2" in out and "lineage" in out
    assert "dense_reg_ckpt.safetensors" in out and "loftr_transformer_global" in out


def test_match_writes_json_and_a_picture(capsys, tmp_path, ckpts, print_folder):
    prints = [str(print_folder / name) for name in ("1_1.png", "1_2.png")]
    picture = tmp_path / "match.png"
    assert main(["match", *prints, *ckpts.flags, "--json", "--out", str(picture)]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert captured.out.count("\n") == 1
    assert (result["name0"], result["name1"]) == ("1_1.png", "1_2.png")
    assert result["status"] in ("ok", "not_aligned") and -1 <= result["score"] <= 1
    assert len(result["alignment"]["points0"]) == result["num_matches"]
    with Image.open(picture) as image:
        assert image.format == "PNG" and image.width > image.height > 100


def test_register_writes_all_there_is_to_see(capsys, tmp_path, ckpts, print_folder):
    prints = [str(path) for path in sorted(print_folder.glob("*.png"))[:2]]
    flags = ["--dense-ckpt", ckpts.dense, "--out", str(tmp_path / "pair")]
    assert main(["register", *prints, *flags]) == 0
    record = json.loads((tmp_path / "pair/registration.json").read_text())
    assert record["name0"] == Path(prints[0]).name
    assert record["status"] in ("ok", "not_aligned")
    assert len(record["alignment"]["points0"]) == record["num_matches"]
    with np.load(tmp_path / "pair/displacement.npz", allow_pickle=False) as archive:
        with Image.open(prints[0]) as image:
            assert archive["overlap"].shape == image.size[::-1]
        assert archive["displacement"].shape == (*archive["overlap"].shape, 2)
    for name in ("aligned", "overlay", "checkerboard", "field"):
        assert (tmp_path / f"pair/{name}.png").stat().st_size > 1000


def test_identify_searches_the_gallery(capsys, tmp_path, ckpts, print_folder):
    out = tmp_path / "found.json"
    assert (
        main(["identify", "--dataset-root", str(print_folder), "--out", str(out), *ckpts.flags])
        == 0
    )
    found = json.loads(out.read_text())
    assert len(found["cmc"]) == found["gallery"] and found["cmc"][-1] == 1.0
    assert f"rank 1   {100 * found['cmc'][0]:.2f} %" in capsys.readouterr().out


def test_match_decides_at_a_false_match_rate(capsys, caplog, tmp_path, ckpts, print_folder):
    prints = [str(path) for path in sorted(print_folder.glob("*.png"))[:2]]
    plain = complaint(capsys, "match", *prints, *ckpts.flags, "--threshold", "0.1")
    assert "is not calibrated" in plain and "ifvit calibrate" in plain
    shutil.copytree(Path(ckpts.matcher).parent, tmp_path, dirs_exist_ok=True)
    copied = Checkpoints.of(tmp_path)
    flags, own = copied.flags, Matcher.from_checkpoints(copied.dense, copied.matcher)
    # The highest score and the lowest there can be; prints that are not aligned have the lowest.
    for impostor, accepted in ((-1.0, True), (1.0, False)):
        calibrated = own.decision.calibrated([impostor] * 99, own.fingerprint)
        save_decision(tmp_path / DECISION_FILE, calibrated)
        assert main(["match", *prints, *flags, "--json", "--threshold", "0.01"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["accepted"] == (accepted and found["status"] == "ok")
        lowest = found["status"] != "ok" or not accepted
        assert found["fmr"] == pytest.approx(1.0 if lowest else 0.01)
        assert found["threshold"] == pytest.approx(impostor)
    assert main(["match", *prints, *flags, "--threshold", "0.01"]) == 0
    assert "rejected at FMR 0.01" in capsys.readouterr().out
    assert "from 0.01 to 1" in complaint(capsys, "match", *prints, *flags, "--threshold", "0.001")
    others = Decision(dense_sha256="other", matcher_sha256="weights")
    save_decision(tmp_path / DECISION_FILE, others.calibrated([0.0], own.fingerprint))
    assert main(["match", *prints, *flags]) == 0
    assert "FMR" not in capsys.readouterr().out
    assert "belongs to other weights, and is not used" in caplog.text
    save_decision(tmp_path / DECISION_FILE, own.decision.calibrated([0.0], "other"))
    assert main(["match", *prints, *flags]) == 0
    assert "belongs to other settings of registration and score, and is not used" in caplog.text


def test_match_prints_one_line(capsys, ckpts, print_folder):
    prints = [str(print_folder / name) for name in ("1_1.png", "2_1.png")]
    assert main(["match", *prints, *ckpts.flags]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and out.startswith(("score ", "not aligned: "))


def test_the_installed_program_ends_in_one_line(tmp_path):
    """In a process of its own: no traceback, no log line, no warning beside the error."""
    command = [sys.executable, "-m", "ifvit.cli", "inspect", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("ifvit: error: ") and done.stderr.count("\n") == 1


def test_loftr_is_converted_and_inspected(capsys, tmp_path):
    back = {ours: theirs for theirs, ours in TABLE.items()}
    tensors = {}
    for name, shape in transformer_shapes(8, 2).items():
        _, layer, part = name.split("/", 2)
        tensors[f"matcher.loftr_coarse.layers.{layer}.{back[part]}"] = torch.ones(shape[::-1])
    source, output = tmp_path / "outdoor_ds.ckpt", tmp_path / "loftr_transformer.npz"
    torch.save({"state_dict": tensors}, source)
    arguments = ("--pytorch-ckpt", str(source), "--output", str(output), "--num_heads", "2")
    assert main(["convert-loftr", *arguments]) == 0
    out = capsys.readouterr().out
    assert "20 parameter arrays, 0.00 M parameters, 2 layers (self, cross × 1), d=8" in out
    assert main(["inspect", str(output)]) == 0
    assert "heads: 2" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a checkpoint"])
def test_what_is_no_checkpoint_is_not_converted(capsys, tmp_path, content):
    source, output = tmp_path / "outdoor_ds.ckpt", tmp_path / "loftr_transformer.npz"
    source.write_bytes(content)
    line = complaint(
        capsys, "convert-loftr", "--pytorch-ckpt", str(source), "--output", str(output)
    )
    assert "cannot be read as a PyTorch checkpoint" in line
    assert not output.exists()


def test_loftr_weights_that_do_not_fit(capsys, tmp_path):
    path = tmp_path / "loftr_transformer.npz"
    np.savez(path, x=np.zeros(2))
    line = complaint(capsys, "train-dense", "--loftr-pretrained-ckpt", str(path))
    assert "without a record of ifvit" in line
