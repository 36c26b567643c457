"""`biot-sidecar lambda`: the real program with plugins that ask AWS's Runtime API: a plain client and AWS's own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from tests.cli.processes import COMMAND, DUMB, PATIENCE, Running, gone, running
from tests.deploy.programs import PLAIN, ROOT, SECRET, USER, seen, simulator
from tests.support import wants

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

DEAD = DUMB | {"BIOT_BASE_URL": "http://127.0.0.1:9", "SIDECAR_LOGIN_AT_START": "0"}
PATIENT = "/organization/v1/users/patients/11111111-1111-1111-1111-111111111111"
RUNTIME = ROOT / "tests" / "deploy" / "runtime.py"
HANDLER = """
import json, os, time, urllib.request

def handler(event, context):
    match event.get("body"):
        case "crash": os._exit(3)
        case "hang": time.sleep(60)
        case "raise": raise KeyError("x")
        case {"scheduled": True}: return {"statusCode": 200, "headers": {"x": "y"}, "event": event}
        case {"fail": True}: raise KeyError("x")
        case "bad": return {"statusCode": "none"}
        case "slow": time.sleep(0.6)
        case "environment": return dict(os.environ)
        case "call":
            with urllib.request.urlopen(os.environ["BIOT_BASE_URL"] + "PATIENT") as answer:
                return {"statusCode": 200, "body": json.load(answer)["_name"]["firstName"]}
    headers = {"x-pid": str(os.getpid())}
    return {"statusCode": 201, "headers": headers, "cookies": ["a=1", "b=2"], "body": json.dumps(event)}
""".replace("PATIENT", PATIENT)
NODE = """
export const handler = async (event) => {
  const answer = await fetch(process.env.BIOT_BASE_URL + "PATIENT");
  return { statusCode: 200, body: (await answer.json())._name.firstName };
};
""".replace("PATIENT", PATIENT)


@pytest.fixture(scope="module")
def biot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with simulator(tmp_path_factory.mktemp("biot")) as url:
        yield url


@pytest.fixture(scope="module")
def function(biot: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One function that only is asked."""
    folder = tmp_path_factory.mktemp("function")
    with plain(folder, "--timeout", "20s", BIOT_BASE_URL=biot) as started:
        yield started


def plain(folder: Path, *flags: str, **env: str):
    """The handler above under a runtime client of the standard library alone."""
    (folder / "index.py").write_text(HANDLER)
    words = ["lambda", "--listen", "127.0.0.1:0", *flags, "--", sys.executable, str(RUNTIME)]
    return running(folder, *words, **(DEAD | {"LAMBDA_TASK_ROOT": str(folder)} | env))


def address(function: Running) -> tuple[str, int]:
    if not any(line.startswith("Lambda function") for line in function.said):
        function.until("Lambda function on http://")
    line = next(line for line in function.said if line.startswith("Lambda function on"))
    host, _, port = line.split()[3].removeprefix("http://").rstrip(",").rpartition(":")
    return host, int(port)


def invoke(function: Running, event: str, name: str = "function", **fields: str) -> tuple[HTTPResponse, bytes]:
    return send(function, event, f"/2015-03-31/functions/{name}/invocations", **fields)


def send(function: Running, body: str = "", path: str = "/", **fields: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(*address(function), timeout=PATIENCE)
    try:
        connection.request("POST", path, body.encode(), {"content-type": "text/plain", **fields})
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def ran(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The command to its end."""
    done = subprocess.run(
        [*COMMAND, "lambda", *words], env=PLAIN | DEAD | env, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    assert "Traceback" not in done.stderr
    return done


def test_a_request_becomes_an_event_and_the_reply_its_response(function):
    answer, body = send(function, "hello", "/a%20b?x=1&x=2", cookie="c=3; d=4", hooktype="NOTIFICATION")
    event = json.loads(body)
    assert (event["rawPath"], event["rawQueryString"], event["body"]) == ("/a%20b", "x=1&x=2", "hello")
    assert (event["cookies"], event["headers"]["hooktype"]) == (["c=3", "d=4"], "NOTIFICATION")
    assert (answer.status, answer.headers.get_all("Set-Cookie")) == (201, ["a=1", "b=2"])
    assert answer.getheader("x-amzn-RequestId") == event["requestContext"]["requestId"]


def test_the_plugins_calls_go_through_the_sidecar(function, biot):
    before = len(seen(biot))
    answer, body = send(function, "call")
    assert (answer.status, body) == (200, b"Demo")
    (asked,) = [one for one in seen(biot)[before:] if one["path"] == PATIENT]
    assert asked["token"] == "valid"


def test_the_plugin_finds_lambdas_variables_and_no_secret(function):
    _, body = send(function, "environment")
    env = json.loads(body)
    assert env["BIOT_SERVICE_USER_ID"] == USER
    assert env["BIOT_SERVICE_USER_SECRET_KEY"] == "kept-by-biot-sidecar"
    assert SECRET not in body.decode()
    assert env["BIOT_BASE_URL"].startswith("http://127.0.0.1:")
    assert env["_HANDLER"] == str(RUNTIME)
    wanted = ("RUNTIME_API", "FUNCTION_NAME", "FUNCTION_VERSION", "FUNCTION_MEMORY_SIZE")
    assert all(env[f"AWS_LAMBDA_{name}"] for name in wanted)
    assert all(env[name] for name in ("AWS_REGION", "AWS_EXECUTION_ENV", "LAMBDA_TASK_ROOT"))
    assert env["BIOT_APP_NAME"] == env["AWS_LAMBDA_FUNCTION_NAME"]


def test_two_at_once_run_in_two_processes(function):
    address(function)  # it is read from the output, where two would wait for the same line
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: send(function, "slow")[0], range(2)))
    assert [answer.status for answer in answers] == [201, 201]
    assert len({answer.getheader("x-pid") for answer in answers}) == 2


def test_invoke_hands_the_event_over_as_it_is_and_the_reply_back(function):
    event = {"headers": {}, "body": {"scheduled": True}}
    answer, reply = invoke(function, json.dumps(event), "any-name")
    assert (answer.status, json.loads(reply)["event"]) == (200, event)
    assert (answer.getheader("x"), answer.getheader("X-Amz-Function-Error")) == (None, None)


def test_an_error_of_an_invoked_function_is_a_200_that_says_so(function):
    answer, reply = invoke(function, '{"body": {"fail": true}}')
    assert (answer.status, answer.getheader("X-Amz-Function-Error")) == (200, "Unhandled")
    assert json.loads(reply)["errorType"] == "KeyError"


def test_invoke_refuses_what_lambda_refuses(function):
    assert invoke(function, "no json")[0].status == 400
    assert invoke(function, "{}", **{"X-Amz-Invocation-Type": "Sometimes"})[0].status == 400
    assert invoke(function, "{}", origin="https://elsewhere.example")[0].status == 403


def test_invoke_may_wait_for_no_reply_or_send_nothing(tmp_path):
    with plain(tmp_path) as function:
        assert invoke(function, "{}", **{"X-Amz-Invocation-Type": "DryRun"})[0].status == 204
        answer, reply = invoke(function, "{}", **{"X-Amz-Invocation-Type": "Event"})
        assert (answer.status, reply) == (202, b"")
        assert send(function)[0].status == 201
        function.send(signal.SIGTERM)
        assert function.ended() == 0
        assert function.log().count("event invoke 200 in ") == 1


def test_a_page_of_another_site_may_not_call(function):
    answer, _ = send(function, "x", origin="https://elsewhere.example")
    assert answer.status == 403


def test_a_crash_an_error_and_a_bad_reply_are_told_as_lambda_tells_them(tmp_path):
    with plain(tmp_path) as function:
        for body, kind in (("crash", "Runtime.ExitError"), ("raise", "KeyError"), ("bad", "Runtime.InvalidResponse")):
            answer, told = send(function, body)
            assert (answer.status, json.loads(told)["errorType"]) == (502, kind)
            assert send(function)[0].status == 201
        function.send(signal.SIGTERM)
        assert function.ended() == 0
        assert "event POST / 502 Runtime.ExitError in " in function.log()
        assert "Traceback" not in function.log()


def test_an_event_that_takes_too_long_is_a_504_and_the_next_one_is_served(tmp_path):
    with plain(tmp_path, "--timeout", "1s") as function:
        answer, told = send(function, "hang")
        assert (answer.status, json.loads(told)["errorType"]) == (504, "Sandbox.Timedout")
        assert "Task timed out after 1.00 seconds" in json.loads(told)["errorMessage"]
        while (answer := send(function)[0]).status == 504:  # on a busy machine an echo may take a second, too
            pass
        assert answer.status == 201


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.not_on("windows", why="no process can be stopped and go on")
def test_freeze_stops_plugin_and_sidecar_between_events(tmp_path, biot):
    with plain(tmp_path, "--freeze", BIOT_BASE_URL=biot, SIDECAR_WORKERS="2") as function:
        address(function)
        children = function.children
        assert set(children) == {"serve", "command"}
        for _ in range(2):
            assert send(function, "call")[1] == b"Demo"
            until_stopped(*children.values())
        function.send(signal.SIGTERM)
        assert function.ended() == 0
        assert all(gone(pid) for pid in children.values())


def test_a_sidecar_that_is_lost_ends_the_command_with_status_1(tmp_path):
    with plain(tmp_path) as function:
        address(function)
        children = function.children
        os.kill(children["serve"], signal.SIGKILL)
        assert function.ended() == 1
        assert "the sidecar ended by itself" in function.log()
        assert gone(children["command"])


@pytest.mark.not_on("macos", "windows", why="of a killed parent a stopped process hears nothing")
def test_a_command_that_is_killed_takes_plugin_and_sidecar_along(tmp_path):
    with plain(tmp_path, "--freeze") as function:
        address(function)
        children = function.children
        until_stopped(*children.values())
        function.send(signal.SIGKILL)
        assert all(gone(pid) for pid in children.values())


def until_stopped(*pids: int) -> None:
    end = time.monotonic() + PATIENCE
    while not all(state(pid) == "T" for pid in pids):
        assert time.monotonic() < end, [state(pid) for pid in pids]
        os.sched_yield()


def test_a_plugin_that_never_asks_ends_the_command_with_its_status():
    done = ran("--listen", "127.0.0.1:0", "--", sys.executable, "-c", "raise SystemExit(42)")
    assert (done.returncode, done.stdout) == (42, "")
    assert "before it asked for an event" in done.stderr


def test_a_command_that_is_not_there_is_127_and_none_at_all_is_2():
    assert ran("--listen", "127.0.0.1:0", "--", "/no/such/command").returncode == 127
    assert ran().returncode == 2


def test_a_sidecar_that_cannot_start_ends_it_with_its_status():
    done = ran("--", "true", BIOT_BASE_URL="")
    assert done.returncode == 1
    assert "BIOT_BASE_URL" in done.stderr


def test_wrong_flags_are_all_told_at_once():
    done = ran("--listen", "9000", "--timeout", "1h", "--concurrency", "0", "--", "true")
    assert done.returncode == 2
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == ["--listen", "--timeout", "--concurrency"]
    assert done.stderr.splitlines()[0].endswith("write HOST:PORT or [::1]:PORT, such as 127.0.0.1:9000")


def test_an_address_that_is_not_loopback_is_wrong_configuration():
    done = ran("--listen", "0.0.0.0:9000", "--", "true")
    assert done.returncode == 1
    assert done.stderr.endswith("--listen: 0.0.0.0:9000 is not loopback; SIDECAR_ALLOW_REMOTE=1 allows it\n")


def test_a_port_in_use_ends_it_with_status_3(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        done = ran("--listen", where, "--", sys.executable, str(RUNTIME))
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith(f"biot-sidecar: cannot listen on {where}: ")
    assert done.stderr.endswith("; set --listen to another address\n")


def test_its_sidecar_listens_where_the_setting_says(tmp_path, biot):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        where = f"127.0.0.1:{probe.getsockname()[1]}"
    with plain(tmp_path, BIOT_BASE_URL=biot, SIDECAR_LISTEN=where) as function:
        assert function.until("biot-sidecar ready on ").startswith(f"biot-sidecar ready on {where} ")


@pytest.mark.parametrize("flags", [(), ("--freeze",)])
def test_awss_own_python_client_runs(tmp_path, biot, flags):
    wants.module("awslambdaric")
    (tmp_path / "index.py").write_text(HANDLER)
    words = ["lambda", "--listen", "127.0.0.1:0", *flags, "--", sys.executable, "-m", "awslambdaric", "index.handler"]
    with running(tmp_path, *words, **DEAD | {"BIOT_BASE_URL": biot, "PYTHONPATH": f"{tmp_path}:{ROOT}"}) as function:
        served_by_awss_client(function, "index.handler")


def test_awss_own_javascript_client_runs(tmp_path, biot):
    wants.program("node")
    client = wants.program("aws-lambda-ric")
    (tmp_path / "index.mjs").write_text(NODE)
    words = ["lambda", "--listen", "127.0.0.1:0", "--freeze", "--", client, "index.handler"]
    with running(tmp_path, *words, folder_of_work=tmp_path, **DEAD | {"BIOT_BASE_URL": biot}) as function:
        for _ in range(2):
            answer, body = send(function, "call")
            assert (answer.status, body) == (200, b"Demo")


def served_by_awss_client(function: Running, handler: str) -> None:
    assert send(function, "call")[1] == b"Demo"
    answer, body = send(function)
    assert (answer.status, json.loads(body)["version"]) == (201, "2.0")
    answer, told = send(function, "raise")
    assert (answer.status, json.loads(told)["errorType"]) == (502, "KeyError")
    answer, told = send(function, "crash")
    assert (answer.status, json.loads(told)["errorType"]) == (502, "Runtime.ExitError")
    assert json.loads(send(function, "environment")[1])["_HANDLER"] == handler
