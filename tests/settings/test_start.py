"""The real program's start: what it says, where it listens, and how it ends when it cannot."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.deploy.programs import PLAIN, ROOT, program
from tests.settings.given import SECRET, environment
from tests.support.ports import ADDRESS_IN_USE, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

COMMAND = [sys.executable, "-m", "biot_sidecar"]
NOBODY = {"BIOT_BASE_URL": "http://127.0.0.1:9", "SIDECAR_LOGIN_AT_START": "0"}


def ended(*words: str, **more: str | None) -> subprocess.CompletedProcess[str]:
    """A program that ends by itself; whatever it says, it is neither a traceback nor the secret."""
    ran = subprocess.run(
        [*COMMAND, *words], env=PLAIN | environment(**more), cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert "Traceback" not in ran.stderr
    assert SECRET not in ran.stderr + ran.stdout
    return ran


def test_nothing_set_is_three_problems_and_status_1():
    ran = ended(BIOT_BASE_URL=None, BIOT_SERVICE_USER_ID=None, BIOT_SERVICE_USER_SECRET_KEY=None)
    lines = ran.stderr.splitlines()
    assert (ran.returncode, ran.stdout, len(lines)) == (1, "", 3)
    assert {line.split(": ")[1] for line in lines} == {
        "BIOT_BASE_URL",
        "BIOT_SERVICE_USER_ID",
        "BIOT_SERVICE_USER_SECRET_KEY",
    }
    assert all(line.startswith("biot-sidecar: ") for line in lines)


def test_settings_routes_and_certificates_are_reported_by_one_start(tmp_path):
    routes = tmp_path / "routes.yaml"
    routes.write_text("version: 1\nroute: []\ndefaults: {interception: maybe}\n")
    ran = ended(SIDECAR_ROUTES=str(routes), SIDECAR_CA_FILE=__file__, SIDECAR_WORKERS="x", SIDECAR_FRESH_FOR="soon")
    assert ran.returncode == 1
    said = ran.stderr
    for words in ("SIDECAR_CA_FILE: ", "SIDECAR_WORKERS: ", "SIDECAR_FRESH_FOR: ", f"{routes}:2:1: ", f"{routes}:3:"):
        assert words in said
    assert len(said.splitlines()) == 5


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"SIDECAR_LISTEN": "0.0.0.0:8787"}, "SIDECAR_LISTEN: '0.0.0.0' is not loopback"),
        ({"BIOT_BASE_URL": "http://api.example"}, "is plain http: tokens would travel in the clear"),
        ({"BIOT_SERVICE_USER_SECRET_KEY_FILE": "/no/such"}, "are both set"),
        ({"SIDECAR_ROUTES": "/no/such/routes.yaml"}, "/no/such/routes.yaml"),
    ],
)
def test_wrong_configuration_is_one_line_and_status_1(more, words):
    ran = ended(**more)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (1, 1)
    assert words in ran.stderr


def test_bytes_that_are_no_text_are_reported_not_sent():
    given = {os.fsencode(name): os.fsencode(value) for name, value in (PLAIN | environment()).items()}
    given[b"BIOT_SERVICE_USER_SECRET_KEY"] = b"canary\xff"
    ran = subprocess.run(COMMAND, env=given, cwd=ROOT, capture_output=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (1, b"biot-sidecar: BIOT_SERVICE_USER_SECRET_KEY: is not UTF-8 text\n")


@pytest.mark.parametrize(
    "words",
    ["nonsense", "--nonsense", "serve extra", "serve --listen", "--up https://a", "wait --timeout x", "explain GET"],
)
def test_a_wrong_command_line_is_status_2(words):
    ran = ended(*words.split())
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "biot-sidecar" in ran.stderr


def test_an_address_in_use_is_status_3():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = ended("--listen", where)
    said = f"cannot listen on {where}: {ADDRESS_IN_USE}; set SIDECAR_LISTEN (--listen) to another address"
    assert (ran.returncode, ran.stderr) == (3, f"biot-sidecar: {said}\n")


@pytest.mark.parametrize(
    ("words", "name", "advice"),
    [
        ("serve", "SIDECAR_LISTEN", "SIDECAR_LISTEN (--listen)"),
        ("serve", "SIDECAR_ADMIN_LISTEN", "SIDECAR_ADMIN_LISTEN (--admin-listen)"),
        ("exec -- true", "SIDECAR_LISTEN", "SIDECAR_LISTEN (--listen)"),
        ("simulate", "SIDECAR_SIMULATOR_LISTEN", "SIDECAR_SIMULATOR_LISTEN"),
        ("demo", "SIDECAR_SIMULATOR_LISTEN", "SIDECAR_SIMULATOR_LISTEN"),
        ("demo", "SIDECAR_LISTEN", "SIDECAR_LISTEN (--listen)"),
    ],
)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_every_command_words_a_taken_port_alike_and_names_its_setting(words, name, advice, workers):
    free = {"SIDECAR_LISTEN": "127.0.0.1:0", "SIDECAR_SIMULATOR_LISTEN": "127.0.0.1:0", "SIDECAR_LOGIN_AT_START": "0"}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        ran = ended(
            *words.split(),
            **(free | {name: where, "SIDECAR_WORKERS": workers}),
            BIOT_BASE_URL=None if words == "demo" else NOBODY["BIOT_BASE_URL"],
        )
    said = f"biot-sidecar: cannot listen on {where}: {ADDRESS_IN_USE}; set {advice} to another address"
    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (3, said)


@pytest.mark.parametrize("where", ["unix:/no/such/folder/socket", "no-such-host.invalid:0"])
def test_an_address_that_cannot_be_had_is_status_3(where):
    ran = ended(SIDECAR_LISTEN=where, SIDECAR_ALLOW_REMOTE="1")
    assert ran.returncode == 3
    assert ran.stderr.startswith(f"biot-sidecar: cannot listen on {where}: ")
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_address_that_one_of_two_listeners_cannot_have_leaves_nothing_behind(tmp_path, workers):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = ended(SIDECAR_LISTEN=f"unix:{tmp_path}/a,127.0.0.1:{taken.getsockname()[1]}", SIDECAR_WORKERS=workers)
    assert ran.returncode == 3
    assert list(tmp_path.iterdir()) == []


def test_the_ready_line_names_every_address_as_it_is_and_the_upstream(tmp_path):
    port = free_port()
    unix = tmp_path / "sidecar.sock"
    listen = f"127.0.0.1:0,[::1]:{port},unix:{unix}"
    env = environment(BIOT_BASE_URL="http://127.0.0.1:9/biot/", SIDECAR_LOGIN_AT_START="0", SIDECAR_LISTEN=listen)
    with program(tmp_path, "sidecar", COMMAND, env) as running:
        said, _, upstream = running.first_line.removeprefix("biot-sidecar ready on ").partition(" -> ")
        first, second, third = said.split(", ")
        assert upstream == "http://127.0.0.1:9/biot"
        assert (second, third) == (f"[::1]:{port}", f"unix:{unix}")
        assert urllib.request.urlopen(f"http://{first}/healthz", timeout=60).status == 200
        assert urllib.request.urlopen(f"http://{second}/healthz", timeout=60).status == 200
        assert unix.stat().st_mode & 0o777 == 0o600
        assert running.stop() == 0
        assert running.process.stdout.read() == b""  # one line and nothing else
    assert not unix.exists()


def test_flags_count_over_the_environment(tmp_path):
    env = environment(BIOT_BASE_URL="nonsense", SIDECAR_LISTEN="nonsense", SIDECAR_ROUTES="/no/such")
    (tmp_path / "routes.yaml").write_text("version: 1\nroutes: [{name: mine, match: GET /a}]\n")
    flags = ["--upstream", NOBODY["BIOT_BASE_URL"], "--listen", "127.0.0.1:0", "--routes", f"{tmp_path}/routes.yaml"]
    with program(tmp_path, "sidecar", [*COMMAND, "serve", *flags], env) as running:
        where = running.first_line.split()[3]
        assert running.first_line.endswith(" -> http://127.0.0.1:9")
        assert b'"mine"' in urllib.request.urlopen(f"http://{where}/_sidecar/status", timeout=60).read()


def test_the_admin_listener_serves_its_three_pages_and_no_more(tmp_path):
    port = free_port()
    env = environment(**NOBODY, SIDECAR_LISTEN="127.0.0.1:0", SIDECAR_ADMIN_LISTEN=f"0.0.0.0:{port}")
    with program(tmp_path, "sidecar", COMMAND, env):
        for page, status in (("metrics", 200), ("healthz", 200), ("readyz", 200), ("_sidecar/status", 404), ("a", 404)):
            assert asked(f"http://127.0.0.1:{port}/{page}") == status


def asked(url: str) -> int:
    try:
        return urllib.request.urlopen(url, timeout=60).status
    except urllib.error.HTTPError as error:
        with error:
            return error.status


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_log_says_which_routes_file_is_in_force(tmp_path, workers):
    (tmp_path / "routes.yaml").write_text("version: 1\nroutes: [{name: mine, match: GET /a}]\n")
    env = environment(**NOBODY, SIDECAR_LISTEN="127.0.0.1:0", SIDECAR_ROUTES=f"{tmp_path}/routes.yaml")
    with program(tmp_path, "sidecar", COMMAND, env | {"SIDECAR_WORKERS": workers}) as running:
        assert running.stop() == 0
        ready = next(line for line in map(json.loads, running.log().splitlines()) if line["event"] == "ready")
        assert ready["message"].endswith(f"; 1 route of {tmp_path}/routes.yaml")
        assert "biot-sidecar init" not in running.log()


def test_the_programs_own_routes_file_is_warned_of(tmp_path):
    env = environment(**NOBODY, SIDECAR_LISTEN="127.0.0.1:0") | {"PYTHONPATH": str(ROOT)}
    words = ["sh", "-c", 'cd "$0" && exec "$@"', str(tmp_path), *COMMAND]
    with program(tmp_path, "sidecar", words, env) as running:
        assert running.stop() == 0
        (warning,) = (line for line in running.log().splitlines() if '"warning"' in line)
        assert f"so the program's own routes file is in force, {ROOT}/config/routes.yaml; write one" in warning


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("SIDECAR_FRESHFOR", "SIDECAR_FRESH_FOR"),
        ("sidecar_listen", "SIDECAR_LISTEN"),
        ("BIOT_SERVICE_USER_SECRET", "BIOT_SERVICE_USER_SECRET_KEY"),
    ],
)
@pytest.mark.parametrize("words", ["serve", "check", "login", "simulate"])
def test_a_misspelt_setting_is_named_where_others_are_wrong(words, wrong, near):
    ran = ended(*words.split(), **{wrong: "x"}, SIDECAR_ALLOW_REMOTE="maybe", BIOT_SERVICE_USER_SECRET_KEY=None)
    assert ran.returncode == 1
    assert f"{wrong} is no setting; did you mean {near}?" in ran.stdout + ran.stderr


def test_a_misspelt_setting_is_warned_of_in_the_log(tmp_path):
    env = environment(**NOBODY, SIDECAR_LISTEN="127.0.0.1:0", SIDECAR_FRESHFOR="1m")
    with program(tmp_path, "sidecar", COMMAND, env) as running:
        assert running.stop() == 0
        assert "SIDECAR_FRESHFOR is no setting; did you mean SIDECAR_FRESH_FOR?" in running.log()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_that_are_closed_are_no_trap(tmp_path: Path, closed):
    """Without them the first sockets would take their numbers, and the log would go out on one."""
    env = environment(**NOBODY, SIDECAR_LISTEN=f"unix:{tmp_path}/socket")
    with subprocess.Popen(["sh", "-c", f'exec "$@" {closed}', "sh", *COMMAND], env=PLAIN | env, cwd=ROOT) as process:
        wait = [*COMMAND, "wait", "--listen", f"unix:{tmp_path}/socket", "--timeout", "60s"]
        assert subprocess.run(wait, env=PLAIN, cwd=ROOT, timeout=60).returncode == 0
        process.terminate()
        assert process.wait(60) == 0
