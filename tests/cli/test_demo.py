"""`biot-sidecar demo`: the simulator and a sidecar, and calls to paste that do what is said of them."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess

import pytest

from tests.cli.processes import PATIENCE, Running, gone, running
from tests.deploy.programs import PLAIN
from tests.support import wants

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

ANYWHERE = {"SIDECAR_LISTEN": "127.0.0.1:0"}
DEMO = ["demo", "--simulator-listen", "127.0.0.1:0"]


def introduced(demo: Running) -> list[str]:
    """The calls to paste, once all has been said."""
    demo.until("Ctrl-C ends both.")
    return [line.strip() for line in demo.said if line.strip().startswith("curl ")]


def pasted(line: str) -> dict:
    """What a shell makes of one."""
    wants.program("curl")
    ran = subprocess.run(["sh", "-c", line], env=PLAIN, capture_output=True, timeout=PATIENCE, check=True)
    return json.loads(ran.stdout)


def test_the_three_calls_do_what_is_said_of_them(tmp_path):
    with running(tmp_path, *DEMO, **ANYWHERE) as demo:
        assert demo.line().startswith("BioT simulator on http://127.0.0.1:")
        assert demo.line().startswith("biot-sidecar ready on 127.0.0.1:")
        read, change, asked = introduced(demo)
        assert pasted(read)["_name"]["firstName"] == "Demo"
        changed = pasted(change)
        assert (changed["age"], changed["sampleInterceptor"]) == (43, "was here")
        (request,) = pasted(asked)["requests"]
        assert request["method"] == "PATCH"
        demo.send(signal.SIGTERM)
        assert demo.ended() == 0


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.not_on("windows", why="SIGHUP"))],
)
def test_a_signal_ends_both_and_is_a_clean_end(tmp_path, number):
    with running(tmp_path, *DEMO, **ANYWHERE) as demo:
        introduced(demo)
        both = demo.children
        assert set(both) == {"simulate", "serve"}
        demo.send(number)
        assert demo.ended() == 0
        assert all(gone(pid) for pid in both.values())
        assert "Traceback" not in demo.log()


def test_its_log_is_for_people_unless_one_says_otherwise(tmp_path):
    with running(tmp_path, *DEMO, **ANYWHERE) as demo:
        introduced(demo)
        demo.send(signal.SIGTERM)
        demo.ended()
        assert " INFO ready listening on " in demo.log()


def test_credentials_of_the_environment_are_the_simulators_too(tmp_path):
    own = {"BIOT_SERVICE_USER_ID": "5d2bb8a4-0000-4000-8000-000000000000", "BIOT_SERVICE_USER_SECRET_KEY": "canary"}
    with running(tmp_path, *DEMO, **ANYWHERE, **own) as demo:
        assert own["BIOT_SERVICE_USER_ID"] in demo.line()
        assert "_id" in pasted(introduced(demo)[0])
        demo.send(signal.SIGTERM)
        assert demo.ended() == 0
        assert "canary" not in demo.log() + "".join(demo.said)


def test_a_biot_of_the_environment_is_not_called_and_that_is_said(tmp_path):
    with running(tmp_path, *DEMO, **ANYWHERE, BIOT_BASE_URL="https://api.example") as demo:
        assert " -> http://127.0.0.1:" in demo.until("biot-sidecar ready on ")
        assert "the demo brings its own BioT along; BIOT_BASE_URL is not called" in demo.log()


@pytest.mark.not_on("windows", why="unix sockets")
def test_behind_a_unix_socket_the_calls_say_so(tmp_path):
    where = tmp_path / "a b.sock"
    with running(tmp_path, *DEMO, "--listen", f"unix:{where}") as demo:
        read, change, _ = introduced(demo)
        assert shlex.quote(str(where)) in read
        assert pasted(read)["age"] == 42
        assert pasted(change)["sampleInterceptor"] == "was here"


@pytest.mark.parametrize("taken_by", ["simulator", "sidecar"])
def test_a_port_in_use_ends_it_with_status_3_and_nothing_left(tmp_path, taken_by):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ["demo", "--simulator-listen", where] if taken_by == "simulator" else [*DEMO, "--listen", where]
        with running(tmp_path, *words, **({} if taken_by == "sidecar" else ANYWHERE)) as demo:
            assert demo.ended() == 3
            assert where in demo.log()
            assert "Traceback" not in demo.log()


def test_a_wrong_routes_file_ends_it_with_status_1(tmp_path):
    (tmp_path / "routes.yaml").write_text("version: 2\n")
    with running(tmp_path, *DEMO, "--routes", str(tmp_path / "routes.yaml"), **ANYWHERE) as demo:
        assert demo.ended() == 1
        assert f"{tmp_path}/routes.yaml:1:10: error: " in demo.log()


@pytest.mark.parametrize("lost", ["simulate", "serve"])
def test_when_one_is_lost_the_other_ends_too(tmp_path, lost):
    with running(tmp_path, *DEMO, **ANYWHERE) as demo:
        introduced(demo)
        both = demo.children
        os.kill(both[lost], signal.SIGKILL)
        assert demo.ended() == 1
        assert all(gone(pid) for pid in both.values())
        assert "ended by itself, so the demo is over" in demo.log()


def test_nothing_is_left_of_a_demo_that_is_killed(tmp_path):
    with running(tmp_path, *DEMO, **ANYWHERE) as demo:
        introduced(demo)
        both = demo.children
        demo.send(signal.SIGKILL)
        demo.ended()
        assert all(gone(pid) for pid in both.values())
