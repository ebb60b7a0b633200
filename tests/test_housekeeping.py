"""What stands around the package agrees with itself: targets, workflows, versions."""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
import yaml

import ifvit
from ifvit.cli import OUTPUTS
from ifvit.commands import COMMANDS, command

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def workflow(name: str) -> dict:
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))


def run_by(path: Path) -> set[str]:
    """Return the make targets that a file calls, those of a matrix too."""
    text = path.read_text(encoding="utf-8")
    listed = re.findall(r"^\s+target: \[(.*)\]$", text, re.MULTILINE)
    lines = re.findall(r"(?:run: |^)make ([a-z -]+)", text, re.MULTILINE)
    called = [word for line in lines for word in line.split() if word[0] != "-"]
    return {*called, *(name for names in listed for name in names.split(", "))}


def targets() -> set[str]:
    made = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", made, re.MULTILINE))


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_what_is_called_is_a_target(path):
    assert run_by(path) and run_by(path) <= targets()


def test_the_workflow_asks_what_ci_asks():
    """Each target of .ci/run; beyond it only what needs the package index's own service."""
    of_workflow = run_by(ROOT / ".github" / "workflows" / "ci.yml")
    assert of_workflow - run_by(ROOT / ".ci" / "run") == {"audit-packages"}
    assert run_by(ROOT / ".ci" / "run") <= of_workflow


def test_every_phony_target_is_there_and_every_target_is_phony():
    made = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    phony = set(re.search(r"^\.PHONY: (.*)$", made, re.MULTILINE)[1].split())
    assert phony == targets()


def test_the_versions_of_python_are_the_same_everywhere():
    known = {c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if "Python :: 3." in c}
    tested = workflow("ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert known == set(tested)
    lowest = min(known, key=lambda version: int(version.split(".")[1]))
    assert PROJECT["requires-python"] == f">={lowest}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_do_no_more_than_it_needs(path):
    known = workflow(path.name)
    assert known["permissions"] == {"contents": "read"}
    for name, job in known["jobs"].items():
        assert job["timeout-minutes"] <= 60, name
        assert "secrets." not in yaml.dump(job), "publishing is by trust, not by password"


def test_where_the_project_lives_is_said_once():
    """The documents and the issue forms take it from there."""
    assert {"Source", "Documentation", "Issues", "Changelog"} == set(PROJECT["urls"])
    place = PROJECT["urls"]["Source"]
    for path in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "mkdocs.yml"):
        assert place not in path.read_text(encoding="utf-8"), path.name


def written() -> list[str]:
    """Return what the commands write to where nothing else is asked for."""
    return [
        one.default
        for verb in COMMANDS
        for one in fields(command(verb).Settings)
        if one.name in OUTPUTS and one.default not in (MISSING, None)
    ]


def test_what_is_written_by_default_is_ignored(tmp_path):
    """And what is kept aside of it, since both can hold what is somebody's finger."""
    names = written()
    assert {"evaluation", "report", "templates.npz"} <= set(names)
    aside = [re.sub(r"(\.\w+)?$", r".1\1", name, count=1) for name in names]
    examples = ["people/audit.jsonl", "stages/1_prints.png", "match.png", "prints/1_1.png"]
    listed = [*(name if "." in name else f"{name}/file" for name in names), *examples]
    listed += [name if "." in name[:-2] else f"{name}/file" for name in aside]
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8")
    (tmp_path / ".gitignore").write_text(ignored, encoding="utf-8")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    done = subprocess.run(
        ["git", "-C", tmp_path, "check-ignore", *listed], capture_output=True, text=True
    )
    assert sorted(done.stdout.split()) == sorted(listed)


def test_the_package_says_that_it_is_typed():
    assert (Path(ifvit.__file__).parent / "py.typed").exists()


def test_the_version_stands_in_one_place():
    stated = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert stated.count(f'"{PROJECT["version"]}"') == 1
    for path in sorted((ROOT / "ifvit").rglob("*.py")):
        assert f'"{PROJECT["version"]}"' not in path.read_text(encoding="utf-8"), path.name
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
