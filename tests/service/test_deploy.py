"""The container file and the systemd unit refer to what there is, and are as closed as they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx2
import pytest

from ifvit.cli import parse
from ifvit.data.examples import example_prints

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


def test_the_unit_names_the_documents_where_the_project_has_them(unit):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert unit["Documentation"] == [project["urls"]["Documentation"]]


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


READ_ONLY = """
set -e
mount --make-rprivate /
mount -t tmpfs none "$1/tmp"
mount --bind "$1/people" "$1/people"
mount -o remount,ro,bind /
if touch "$1/written" 2>/dev/null; then echo "not read-only"; exit 9; fi
shift
exec "$@"
"""


@pytest.fixture
def read_only(tmp_path) -> list[str]:
    """Return what runs a command where all but its gallery and temporary folder is read only."""
    for name in ("tmp", "people"):
        (tmp_path / name).mkdir()
    shell = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", str(tmp_path)]
    if shutil.which("unshare") is None or subprocess.run([*shell, "true"]).returncode:
        pytest.skip("needs to make a file system of its own")
    return shell


def enrolled_and_found(command: list[str], gallery: str, **variables: str) -> str:
    """Run a service by a command, enrol a print and search for another; return its log."""
    with subprocess.Popen(
        [*command, sys.executable, "-m", "ifvit.cli", "serve", "--port", "0", "--gallery", gallery],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | variables,
        start_new_session=True,
    ) as process:
        try:
            url = re.search(r"http://[\d.:]+", process.stdout.readline())[0]
            first, second, *_ = example_prints()
            data = {"subject": "ann", "keep_prints": "true"}
            with httpx2.Client(base_url=url, timeout=60) as client:
                files = [("print", (first.name, first.read_bytes()))]
                told = client.post("/api/enroll", files=files, data=data).json()
                files = [("probe", (second.name, second.read_bytes()))]
                found = client.post("/api/search", files=files).json()
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            log = process.communicate(timeout=30)[1]
    assert told["prints"][0]["state"] == "enrolled", (told, log)
    assert found["candidates"][0]["subject"] == "ann"
    return log


@pytest.mark.slow
def test_it_serves_and_enrols_where_all_but_the_gallery_is_read_only(read_only, tmp_path):
    """As the container does."""
    people = str(tmp_path / "people")
    folders = {"TMPDIR": str(tmp_path / "tmp"), "HOME": "/nonexistent"}
    log = enrolled_and_found(read_only, people, **folders)
    assert "rror" not in log and "ailed" not in log


def calls_of(name: str) -> set[str]:
    """Return the system calls of a set of systemd's, and of the sets within it."""
    shown = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True)
    lines = [line.strip() for line in shown.stdout.decode().splitlines()[1:]]
    named = [line for line in lines if line and line[0] != "#"]
    return set().union(*(calls_of(one) if one[0] == "@" else {one} for one in named))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_it_calls_nothing_of_the_system_that_the_unit_refuses(unit, tmp_path):
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-qq", "-o", str(trace)]
    enrolled_and_found(command, str(tmp_path / "people"), HOME="/nonexistent", IFVIT_CACHE="off")
    text = trace.read_text(encoding="utf-8", errors="replace")
    called = set(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)[( ]", text, re.MULTILINE))
    allowed = set[str]()
    for value in unit["SystemCallFilter"]:
        names = set().union(*(calls_of(one) for one in value.lstrip("~").split()))
        allowed = allowed - names if value[0] == "~" else allowed | names
    assert len(called) > 50 and called - allowed == set()
