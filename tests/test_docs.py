"""What the documents say is true of the code: examples run, messages are said, links lead on."""

from __future__ import annotations

import ast
import json
import re
import shutil
from functools import cache
from pathlib import Path

import pytest

import ifvit
from ifvit.cli import main

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md") if (ROOT / name).exists()),
    *sorted(page for page in DOCS.rglob("*.md")),
]

RUN_ELSEWHERE = {"onnx.md", "service.md", "page.md"}
"""Pages whose Python needs more than prints, such as graphs or a server, and has its own tests:
``tests/export/test_plain_script.py`` for the first."""


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def examples(tmp_path, monkeypatch) -> Path:
    """A folder of its own with the prints that the documents call by name."""
    monkeypatch.chdir(tmp_path)
    prints = ifvit.example_prints()
    for path in prints:
        shutil.copy(path, tmp_path)
    for called, path in (("ann_1", 0), ("ann_2", 1), ("probe", 1), ("A", 0), ("B", 1)):
        shutil.copy(prints[path], tmp_path / f"{called}.png")
    return tmp_path


WITH_PYTHON = [page for page in PAGES if blocks(page, "python") and page.name not in RUN_ELSEWHERE]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name)
def test_the_python_of_a_page_runs(page, examples):
    """All blocks of a page one after the other, as a reader would."""
    code = "\n".join(blocks(page, "python"))
    exec(compile(code, name(page), "exec"), {"__name__": "__main__"})


def shown(text: str) -> str:
    """Return a result without its numbers, which change with weights and machines."""
    return re.sub(r"-?\d+(\.\d+)?", "N", text.strip())


def test_the_quick_start_shows_what_the_commands_say(examples, capsys):
    """Each command that compares or keeps prints, run in its order; what is shown is said."""
    text = (DOCS / "quick_start.md").read_text(encoding="utf-8")
    answers = 0
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if language == "text":
            assert shown(capsys.readouterr().out) == shown(block)
            answers += 1
        elif language == "":
            for line in block.splitlines():
                words = line.split()
                if words[:1] == ["ifvit"] and words[1] in ("match", "enroll", "search", "verify"):
                    capsys.readouterr()
                    assert main(words[1:]) == 0, line
    assert answers == 3 and "accepted" in capsys.readouterr().out


@cache
def messages() -> str:
    """Every text of the code, a line each, with … for what is put in."""
    texts = []
    for path in sorted((ROOT / "ifvit").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "…" for p in node.values]
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(text.replace("\n", " ") for text in texts)


def rows() -> list[str]:
    """Every line that the table of errors names; a row may name several."""
    table = (DOCS / "errors.md").read_text(encoding="utf-8")
    first = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    return [line for cell in first for line in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("row", rows())
def test_each_error_of_the_table_is_said_somewhere(row):
    """With … for whatever the code puts in, be it a name or a part of the sentence."""
    parts = [re.escape(part) for part in row.strip("… ").split("…")]
    assert re.search("[^\n]*?".join(parts), messages()), f"no message says {row!r}"


def test_there_are_rows_and_a_wrong_one_is_noticed():
    assert len(rows()) > 40
    assert "no fingerprint found" in messages() and "no toe found" not in messages()


def slug(heading: str) -> str:
    plain = re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()
    return re.sub(r"[-\s]+", "-", plain)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_what_is_there(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if re.match(r"https?:|mailto:", target) or file.endswith("command_line.md"):
            continue
        if file.startswith("notebooks/"):  # a page that is made of a notebook
            assert (ROOT / file).with_suffix(".ipynb").exists()
            continue
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), f"{target} leads nowhere"
        if anchor and path.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            found = {slug(heading) for heading in headings}
            # Headings of the Python reference are made from the code.
            assert anchor in found or path.parent.name == "reference", f"no {target}"


def test_every_page_has_its_place_in_the_navigation():
    """And every entry its page; the build insists on it too, where the site's tools are."""
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(re.findall(r": ([\w/]+\.md)$", settings.split("\nnav:\n")[1], re.MULTILINE))
    there = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    books = {f"notebooks/{path.stem}.md" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert len(books) == 3
    assert listed == there | books | {"reference/command_line.md"}


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=name)
def test_a_notebook_was_run_to_its_end_and_tells_nothing_of_where(path):
    """That it still runs is for ``make notebooks``."""
    text = path.read_text(encoding="utf-8")
    assert len(text) < 800_000
    book = json.loads(text)
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        ast.parse("".join(cell["source"]))
        for shown in cell["outputs"]:
            assert shown["output_type"] != "error"
            said = "".join(shown.get("text", shown.get("data", {}).get("text/plain", "")))
            assert not re.search(r"/(tmp|home|root|usr|work)/", said), said
