"""The container file and the systemd unit refer to what there is, and are as closed as they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from ifvit.cli import parse

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """The instructions of the container file, with their arguments."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Containerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def all_of(steps, word: str) -> list[str]:
    return [rest for name, rest in steps if name == word]


def test_the_container_starts_the_command_as_it_takes_it(steps):
    (entry,), (arguments,) = all_of(steps, "ENTRYPOINT"), all_of(steps, "CMD")
    program, verb = json.loads(entry)
    assert program == "/opt/ifvit/bin/ifvit"
    given = parse(verb, json.loads(arguments))
    assert given.token_file == "/run/secrets/ifvit_tokens"  # it listens to other machines
    assert (given.host, given.gallery) == ("0.0.0.0", "/gallery")
    assert all_of(steps, "EXPOSE") == [str(given.port)]
    assert all_of(steps, "VOLUME") == [given.gallery]


def test_the_container_runs_without_root_and_copies_what_is_there(steps):
    names = [name for name, _ in steps]
    user = all_of(steps, "USER")[-1]
    assert int(user) > 0
    assert names.index("USER") > max(at for at, name in enumerate(names) if name in ("RUN", "COPY"))
    assert f"--uid {user}" in " ".join(all_of(steps, "RUN"))
    assert all(base.split()[0].endswith("-slim") for base in all_of(steps, "FROM"))
    for copied in all_of(steps, "COPY"):
        *sources, _ = copied.split()
        if not sources[0].startswith("--from"):
            assert all((ROOT / one).exists() for one in sources), copied


def test_the_container_installs_extras_that_there_are(steps):
    extras = re.search(r"/src\[([\w,]+)\]", " ".join(all_of(steps, "RUN")))[1].split(",")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"serve", "gallery"} <= set(extras) <= set(project["optional-dependencies"])


def test_the_container_asks_a_path_that_answers(steps, client_of):
    (check,) = all_of(steps, "HEALTHCHECK")
    command = json.loads(check[check.index("[") :])
    path = re.search(r"http://127\.0\.0\.1:8080(/\w+)", command[-1])[1]
    assert client_of(tokens=True).get(path).status_code == 200
    compile(command[-1], "HEALTHCHECK", "exec")


@pytest.fixture(scope="module")
def unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "ifvit.service").read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_starts_the_command_as_it_takes_it(unit):
    program, verb, *arguments = unit["ExecStart"][0].split()
    given = parse(verb, arguments)
    assert (program, given.host) == ("/opt/ifvit/bin/ifvit", "127.0.0.1")
    assert given.token_file == "%d/tokens" and unit["LoadCredential"] == [
        "tokens:/etc/ifvit/tokens"
    ]
    assert given.gallery == "%S/ifvit/gallery" and unit["StateDirectory"] == ["ifvit"]
    assert unit["DynamicUser"] == ["yes"] and unit["ProtectSystem"] == ["strict"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_the_unit_and_finds_it_closed(tmp_path):
    text = (DEPLOY / "ifvit.service").read_text(encoding="utf-8")
    path = tmp_path / "ifvit.service"
    path.write_text(text.replace("/opt/ifvit/bin/ifvit", shutil.which("true")))
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    found = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", path], capture_output=True, text=True
    )
    level = float(re.search(r"exposure level .*?: ([\d.]+)", found.stdout)[1])
    assert level <= 1.5
