"""What the documents say of the service: commands that work, and tables that are complete."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
from fake_service import FastMatcher
from running import running

from ifvit.commands import serve
from ifvit.gallery.gallery import Gallery
from ifvit.service.access import OPEN, role_of
from ifvit.service.app import Service
from ifvit.service.faults import KINDS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def text() -> str:
    return (DOCS / "service.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_every_command_is_answered(text, tmp_path):
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) >= 15
    matcher = FastMatcher()
    gallery = Gallery(tmp_path / "people", matcher, create=True)
    with running(Service(matcher, gallery)) as port:
        for command in commands:
            here = command.replace("curl ", "curl -fsS ", 1).replace(":8080", f":{port}")
            shell = ["bash", "-c", here]
            done = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, (command, done.stderr)
            assert "-O" in command or done.stdout, command
    assert (tmp_path / "1_1.png").read_bytes().startswith(b"\x89PNG")


def test_every_path_and_its_role_is_in_the_table(text, client_of):
    rows = re.findall(r"^\| ((?:GET|POST|DELETE) .*?) \|.*\| (\w+) \|$", text, re.MULTILINE)
    told = {
        (paths.split()[0], path): role
        for paths, role in rows
        for path in re.findall(r"`(.*?)`", paths)
    }
    there = {
        (method, route.path.replace(":path", "")): role_of(route)
        for route in client_of().app.routes
        for method in route.methods
    }
    assert told == {key: "none" if role == OPEN else role for key, role in there.items()}


def test_every_error_and_every_option_is_told(text):
    for code, (status, _) in KINDS.items():
        assert f"`{code}`" in text and str(status) in text, code
    for option in {field.name for field in fields(serve.Settings)} - {"weights"}:
        assert f"`--{option.replace('_', '-')}" in text, option
