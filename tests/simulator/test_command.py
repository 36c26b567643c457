"""`biot-sidecar simulate` as a process: its ready line, its exit statuses, what it never prints."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from biot_sidecar.__main__ import main
from biot_sidecar.cli import simulate

from tests.support.ports import ADDRESS_IN_USE

ROOT = Path(simulate.__file__).parents[2]


@contextmanager
def started(*flags: str, **env: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The ready line and the process, which is stopped at the end of the block if it still runs."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("BIOT_", "SIDECAR_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "biot_sidecar", "simulate", "--listen", "127.0.0.1:0", *flags],
        env=clean | env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate()


def log_in(ready: str, identity: str, secret: str) -> int:
    """The status that a login at the ready line's address gets."""
    url = ready.split(" ")[3] + "/ums/v2/services/accessToken"
    body = json.dumps({"id": identity, "secretKey": secret}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body)) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_whom_it_knows_and_stops_cleanly(number: signal.Signals) -> None:
    with started() as (ready, process):
        identity = "00000000-0000-4000-8000-000000000001"
        assert ready.startswith("BioT simulator on http://127.0.0.1:")
        assert ready.endswith(f"(service user {identity}, secret simulator-secret)")
        assert log_in(ready, identity, "simulator-secret") == 200
        process.send_signal(number)
        rest, log = process.communicate(timeout=60)
        assert (process.returncode, rest) == (0, "")
        assert log == "POST /ums/v2/services/accessToken 200\n"


def test_it_knows_the_service_user_of_the_environment_and_never_prints_its_secret() -> None:
    env = {"BIOT_SERVICE_USER_ID": "mine", "BIOT_SERVICE_USER_SECRET_KEY": "open sesame"}
    with started(**env) as (ready, process):
        assert ready.endswith("(service user mine, secret from the environment)")
        assert log_in(ready, "mine", "open sesame") == 200
        assert log_in(ready, "00000000-0000-4000-8000-000000000001", "simulator-secret") == 403
        process.terminate()
        rest, log = process.communicate(timeout=60)
        assert "sesame" not in ready + rest + log


def test_the_secret_may_come_from_a_file_whose_final_newline_is_no_part_of_it(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from file\n")
    env = {"BIOT_SERVICE_USER_ID": "mine", "BIOT_SERVICE_USER_SECRET_KEY_FILE": str(file)}
    with started(**env) as (ready, _):
        assert log_in(ready, "mine", "from file") == 200


def test_the_secret_may_come_from_a_command() -> None:
    with started(BIOT_SERVICE_USER_ID="mine", SIDECAR_SECRET_COMMAND="echo 'from command'") as (ready, _):
        assert log_in(ready, "mine", "from command") == 200


def test_faults_of_a_file_and_the_token_life_hold_from_the_start(tmp_path: Path) -> None:
    file = tmp_path / "faults.yaml"
    file.write_text("faults:\n  - {fault: service_locked, count: 1}\n")
    with started("--faults", str(file), "--token-life", "90s") as (ready, _):
        credentials = ("00000000-0000-4000-8000-000000000001", "simulator-secret")
        assert log_in(ready, *credentials) == 401
        assert log_in(ready, *credentials) == 200


def run(*flags: str, **env: str) -> int:
    """The command in this process, for starts that end at once."""
    return main(["simulate", *flags], env)


@pytest.mark.parametrize(
    ("flags", "env", "message"),
    [
        ([], {"SIDECAR_SIMULATOR_LISTEN": "127.0.0.1:1,[::1]:1"}, "SIDECAR_SIMULATOR_LISTEN: '127.0.0.1:1,[::1]:1' is"),
        ([], {"SIDECAR_ALLOW_REMOTE": "maybe"}, "SIDECAR_ALLOW_REMOTE: 'maybe' is neither 1 nor 0"),
        (["--listen", "0.0.0.0:0"], {}, "--listen: '0.0.0.0' is not loopback"),
        (["--listen", "[::]:0"], {}, "set SIDECAR_ALLOW_REMOTE=1"),
        ([], {"BIOT_SERVICE_USER_ID": "mine"}, "BIOT_SERVICE_USER_SECRET_KEY: is not set; set it or"),
        ([], {"SIDECAR_SECRET_COMMAND": "echo sesame", "PATH": "/bin"}, "BIOT_SERVICE_USER_ID: is not set; it is the"),
        (
            [],
            {"BIOT_SERVICE_USER_ID": "mine", "SIDECAR_SECRET_COMMAND": "false", "PATH": "/bin"},
            "SIDECAR_SECRET_COMMAND: its command ended with status 1",
        ),
        ([], {"BIOT_SERVICE_USER_SECRET_KEY": "sesame"}, "BIOT_SERVICE_USER_ID: is not set; it is the id"),
        (
            [],
            {
                "BIOT_SERVICE_USER_ID": "mine",
                "BIOT_SERVICE_USER_SECRET_KEY": "sesame",
                "BIOT_SERVICE_USER_SECRET_KEY_FILE": "x",
            },
            "are both set; one of them is enough",
        ),
    ],
)
def test_wrong_configuration_is_one_readable_message_and_exit_status_1(
    flags: list[str], env: dict[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*flags, **env) == 1
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("biot-sidecar: ")
    assert "sesame" not in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--listen", "8788"], "--listen: '8788' is no address; write HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], "is no address; write HOST:PORT"),
        (["--listen", ":8788"], "names no host"),
        (["--listen", "unix:/a"], "--listen: 'unix:/a' is not one HOST:PORT, such as 127.0.0.1:8788"),
        (["--token-life", "soon"], "--token-life: 'soon' is no duration"),
        (["--token-life", "0s"], "--token-life: a token lives for 1s at least"),
        (["--scopes", "READ_PATIENTS"], "--scopes: BioT has no permission 'READ_PATIENTS'"),
    ],
)
def test_a_flag_that_cannot_be_read_is_one_readable_message(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*flags) == (1 if flags[0] == "--listen" else 2)  # a setting is configuration
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"faults: [{fault: reste}]", "faults.yaml: error: fault 1: unknown fault `reste`, did you mean `reset`?"),
        (b"faults: [", "faults.yaml: error: line 1: this is not YAML: "),
        (b"2026-99-99", "faults.yaml: error: this is not YAML"),
        (b"\xff\xfe\x00", "faults.yaml: error: this is not UTF-8 text"),
        (None, "faults.yaml: error: the file cannot be read: No such file or directory"),
    ],
)
def test_a_wrong_faults_file_is_named_with_what_is_wrong(
    tmp_path: Path, content: bytes | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "faults.yaml"
    if content is not None:
        file.write_bytes(content)
    assert run("--faults", str(file)) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("content", ["canary", "*canary", "!canary a", "a: !canary b", "- *canary", "&canary a: *b"])
def test_of_a_file_that_holds_no_faults_nothing_is_shown(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be the secret's."""
    file = tmp_path / "faults.yaml"
    file.write_text(content)
    assert run("--faults", str(file)) == 1
    assert "canary" not in capsys.readouterr().err


@pytest.mark.parametrize("allowed", ["1", "true", "YES", "on"])
def test_listening_beyond_loopback_is_allowed_in_the_words_that_serve_takes(allowed: str) -> None:
    with started("--listen", "0.0.0.0:0", SIDECAR_ALLOW_REMOTE=allowed) as (ready, _):
        assert ready.startswith("BioT simulator on http://0.0.0.0:")


def test_the_address_may_come_from_the_environment_and_durations_are_those_of_the_settings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run("--token-life", "1m30s", SIDECAR_SIMULATOR_LISTEN=f" {where} ") == 3
    assert f"cannot listen on {where}" in capsys.readouterr().err


def test_an_address_that_cannot_be_had_is_exit_status_3(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run("--listen", listen) == 3
    assert capsys.readouterr().err == (
        f"biot-sidecar: cannot listen on {listen}: {ADDRESS_IN_USE}; set SIDECAR_SIMULATOR_LISTEN to another address\n"
    )


def test_the_help_tells_of_endpoints_and_faults(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    shown = capsys.readouterr().out
    for word in ("/_simulator/interceptions", "/_simulator/faults", "half_answer", "--token-life"):
        assert word in shown


def test_the_faults_of_the_help_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    from biot_sidecar.simulator.faults import read

    assert run("--help") == 0
    lines = capsys.readouterr().out.split("faults FILE (YAML):\n")[1].split("  faults: token_not_valid")[0]
    assert len(read(lines)) == 3


@pytest.mark.parametrize("imported", ["aiohttp", "cryptography", "jwt", "yaml"])
def test_the_command_costs_the_others_nothing_to_import(imported: str) -> None:
    code = f"import sys, biot_sidecar.cli.simulate; sys.exit({imported!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_without_its_packages_it_says_which_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    absent: Any = None  # what makes `import aiohttp` fail
    monkeypatch.setitem(sys.modules, "aiohttp", absent)
    assert run() == 1
    said = 'simulate needs aiohttp, which is not installed here: pip install "biot-sidecar[simulator]"'
    assert said in capsys.readouterr().err
