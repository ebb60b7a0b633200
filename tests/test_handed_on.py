"""What one command makes, the next one takes: files, ``next:`` lines, and the docs' examples."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from ifvit.cli import parse
from ifvit.commands import COMMANDS, train_dense
from ifvit.commands.next_step import model_options, quoted
from ifvit.config import ModelConfig
from ifvit.data.readers import read_dataset
from ifvit.evaluation.protocols import all_pairs, read_comparisons
from ifvit.presets import DENSE_PRESETS, MATCH_PRESETS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_a_synthetic_set_is_read_by_its_folder_and_by_its_table(print_folder):
    by_folder, by_table = read_dataset(print_folder), read_dataset(print_folder / "manifest.csv")
    assert [p.path for p in by_folder] == [p.path for p in by_table]
    assert [p.finger for p in by_folder] == [p.finger for p in by_table]


@pytest.mark.parametrize("labels", ["genuine impostor", "1 0"])
@pytest.mark.parametrize("between", ["\t", " ", "  ", ";", ", "])
def test_every_way_that_the_docs_write_a_list(tmp_path, print_folder, labels, between):
    prints = read_dataset(print_folder)
    yes, no = labels.split()
    pairs, path = all_pairs(prints), tmp_path / "list.txt"
    lines = [
        between.join((prints[a].path.name, prints[b].path.name, yes if same else no))
        for a, b, same in pairs
    ]
    path.write_text("# a comment\n\n" + "  # and one\n".join(lines) + "\n", encoding="utf-8")
    assert read_comparisons(path, prints, print_folder) == pairs


MODELS = [
    *(known.model for known in DENSE_PRESETS.values()),
    ModelConfig(temp_bug_fix=False),
    ModelConfig(d_model=32, num_layers=4, num_heads=1, temp_bug_fix=False, use_loftr=False),
    replace(DENSE_PRESETS["tiny"].model, backbone_widths=(8, 8, 24), temperature=0.25),
]


@pytest.mark.parametrize("model", MODELS, ids=range(len(MODELS)))
@pytest.mark.parametrize("path", ["plain.npz", "with blank/$x 'y'.npz"])
def test_the_next_line_gives_the_same_model(model, path):
    for command, presets, option in (
        ("train-match", MATCH_PRESETS, "pretrained-ckpt"),
        ("train-dense", DENSE_PRESETS, "loftr-pretrained-ckpt"),
    ):
        options = model_options(model, {name: known.model for name, known in presets.items()})
        line = f"{command}{options} --{option} {quoted(path)}"
        _, *arguments = shlex.split(line)
        settings = parse(command, arguments)
        assert settings.model == model
        assert getattr(settings.start, option.replace("-", "_")) == path


@pytest.mark.parametrize("preset", DENSE_PRESETS)
@pytest.mark.parametrize("epochs", [1, 7])
@pytest.mark.parametrize("pairs", [None, 64])
def test_the_next_line_is_as_short_a_trial(preset, epochs, pairs, monkeypatch, capsys):
    """Whoever tries Module 1 for a minute would wait a day for Module 2."""
    monkeypatch.setattr("ifvit.training.dense.train_dense", lambda config: Path("m1.safetensors"))
    usual = DENSE_PRESETS[preset]
    count = usual.optim.pairs_per_epoch if pairs is None else pairs
    optim = replace(usual.optim, epochs=epochs, pairs_per_epoch=count)
    train_dense.run(replace(usual, optim=optim))
    _, line = capsys.readouterr().out.splitlines()
    words = shlex.split(line.removeprefix("next: ifvit "))
    found = parse(words[0], words[1:]).optim
    assert found.epochs == epochs
    assert (
        found.pairs_per_epoch == (MATCH_PRESETS[preset].optim.pairs_per_epoch, count)[bool(pairs)]
    )


@pytest.mark.parametrize("root", ["synthetic", "my prints/of 2026"])
def test_the_next_line_names_the_same_prints(root, monkeypatch, capsys):
    """Whoever follows it after a folder of prints trains Module 2 on them too."""
    monkeypatch.setattr("ifvit.training.dense.train_dense", lambda config: Path("m1.safetensors"))
    tiny = DENSE_PRESETS["tiny"]
    train_dense.run(replace(tiny, data=replace(tiny.data, dataset_root=root)))
    _, line = capsys.readouterr().out.splitlines()
    words = shlex.split(line.removeprefix("next: ifvit "))
    assert parse(words[0], words[1:]).data.dataset_root == root


def examples() -> list[str]:
    """Every command of ifvit in a block of code, its continued lines joined."""
    found = []
    for page in PAGES:
        for block in re.findall(
            r"```[a-z]*\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
        ):
            text = block.replace("\\\n", " ")
            found += [line.strip() for line in text.splitlines() if line.startswith("ifvit ")]
    return sorted(set(found))


@pytest.mark.parametrize("line", examples())
def test_every_example_of_the_docs_is_understood(line):
    words = shlex.split(line, comments=True)
    for end in ("|", ">", ">>", "&&", ";"):
        words = words[: words.index(end)] if end in words else words
    assert words[1] in COMMANDS or words[1].startswith("-"), line
    if words[1] in COMMANDS and "--help" not in words:
        parse(words[1], words[2:])
