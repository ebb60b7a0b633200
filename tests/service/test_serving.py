"""The server at its address: who can reach it, how it starts and ends; the command that runs it."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading

import httpx2
import pytest
from fake_service import FastMatcher, print_file
from running import running

import ifvit
from ifvit.cli import main
from ifvit.service.app import Service
from ifvit.service.serving import check_address, is_own_machine, listening

TOKEN = "admin-" + 32 * "0"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "door.example", ""])
def test_an_address_that_others_reach_needs_tokens(host, capsys):
    assert not is_own_machine(host)
    check_address(host, True)
    with pytest.raises(ValueError, match="expected --token-file FILE"):
        check_address(host, False)
    assert main(["serve", "--host", host]) == 2
    assert "reached by other machines" in capsys.readouterr().err


def test_a_service_without_a_gallery_needs_no_engine_of_galleries():
    code = (
        "import sys; from ifvit.service import app, serving; "
        "heavy = {'lancedb', 'pyarrow', 'jax', 'matplotlib'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_its_own_machine_needs_none(host):
    check_address(host, False)


def test_a_port_that_is_taken_is_told_before_weights_load(capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen at 127.0.0.1, port {port}"):
            listening("127.0.0.1", port)
        assert main(["serve", "--port", str(port)]) == 2
    assert "give another --port" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--port", "70000"], "--port 70000: expected 0 to 65535"),
        (["--threads", "0"], "--threads 0: expected at least 1"),
        (["--waiting", "-1"], "--waiting -1: expected at least 0"),
        (["--token-file", "none"], "none"),
        (["--cors-origin", "example.org"], "--cors-origin example.org: expected"),
        (["--cors-origin", "*"], "--cors-origin *: expected"),
    ],
)
def test_wrong_arguments_are_told(arguments, message, capsys):
    assert main(["serve", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_command_answers_as_the_package_does_and_ends_when_it_is_told(tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text(f"admin {TOKEN}\n")
    arguments = ["--port", "0", "--token-file", str(tokens), "--gallery", str(tmp_path / "people")]
    command = [sys.executable, "-m", "ifvit.cli", "serve", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stdout.readline()
            url = re.search(r"http://127\.0\.0\.1:\d+", line)[0]
            with httpx2.Client(base_url=url, timeout=60) as client:
                assert client.get("/api/examples").status_code == 401
                client.headers["Authorization"] = f"Bearer {TOKEN}"
                first, second, *_ = ifvit.example_prints()
                both = ("probe", first), ("candidate", second)
                files = [(field, (one.name, one.read_bytes())) for field, one in both]
                (found,) = client.post("/api/match", files=files).json()["candidates"]
                assert client.get("/api/subjects").json() == {"total": 0, "subjects": []}
        finally:
            process.send_signal(signal.SIGTERM)
            log = process.communicate(timeout=30)[1]
    expected = json.loads(ifvit.match(first, second).to_json())
    assert found == expected | {"candidate": 0}
    assert process.returncode == -signal.SIGTERM
    assert "POST /api/match 200" in log
    for secret in (TOKEN, "1_1", "Traceback"):
        assert secret not in log


def test_what_is_under_way_is_answered_when_the_service_ends():
    class Slow(FastMatcher):
        begun = threading.Event()

        def match(self, print0, print1, *, ppi=None):
            self.begun.set()
            threading.Event().wait(0.5)
            return super().match(print0, print1, ppi=ppi)

    answers = []
    files = [("probe", print_file(1)), ("candidate", print_file(1, 1))]

    def ask(port: int) -> None:
        answers.append(httpx2.post(f"http://127.0.0.1:{port}/api/match", files=files, timeout=20))

    with running(Service(Slow())) as port:
        client = threading.Thread(target=ask, args=(port,))
        client.start()
        assert Slow.begun.wait(10)
    client.join(10)
    assert [one.status_code for one in answers] == [200]
